#include "kernels/edgeq_dsp_columns.h"

void edgeq_dsp_windows_at(const edgeq_window *w, const int8_t *in, int32_t position, int32_t step,
                          edgeq_dsp_windows *f) {
  int32_t x = position % w->out_w;
  const int32_t rows = position / w->out_w;
  int32_t y = rows % w->out_h;
  const int8_t *plane = in + rows / w->out_h * w->in_h * w->in_w * w->in_c;
  f->inside = w->dilation_w == 1;
  for (int32_t i = 0; i < 4; ++i) {
    f->x[i] = x * w->stride_w - w->pad_w;
    f->y[i] = y * w->stride_h - w->pad_h;
    f->plane[i] = plane;
    f->first[i] = plane + (f->y[i] * w->in_w + f->x[i]) * w->in_c;
    const int32_t beyond = f->x[i] + w->filter_w - w->in_w;
    f->left[i] = f->x[i] < 0 ? (f->x[i] > -w->filter_w ? -f->x[i] : w->filter_w) : 0;
    f->right[i] = beyond > 0 ? (beyond < w->filter_w ? beyond : w->filter_w - f->left[i]) : 0;
    if (f->left[i] || f->right[i]) f->inside = 0;
    x += step;
    if (x == w->out_w) {
      x = 0;
      if (++y == w->out_h) {
        y = 0;
        plane += w->in_h * w->in_w * w->in_c;
      }
    }
  }
}
