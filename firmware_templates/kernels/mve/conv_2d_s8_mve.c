#include "kernels/edgeq_mve.h"

/* The window at output position (y, x) as one column of bytes; the zero point where it lies outside of the plane. */
static void gather(const edgeq_mve_conv_params *p, const int8_t *plane, int32_t y, int32_t x, int8_t *to) {
  const edgeq_window *w = &p->window;
  const int32_t y0 = y * w->stride_h - w->pad_h, x0 = x * w->stride_w - w->pad_w;
  const int32_t row = w->filter_w * w->in_c;
  const int together = x0 >= 0 && x0 + w->filter_w <= w->in_w && (w->dilation_w == 1 || w->filter_w == 1);
  const int8_t *from = plane + (y0 * w->in_w + x0) * w->in_c;
  const int32_t down = w->dilation_h * w->in_w * w->in_c;
  int32_t iy = y0;
  for (int32_t fy = 0; fy < w->filter_h; ++fy, iy += w->dilation_h, from += down) {
    if (iy < 0 || iy >= w->in_h) {
      edgeq_mve_fill(to, p->in_zero, row);
      to += row;
    } else if (together) {
      edgeq_mve_copy(to, from, row);
      to += row;
    } else {
      for (int32_t fx = 0; fx < w->filter_w; ++fx, to += w->in_c) {
        const int32_t ix = x0 + fx * w->dilation_w;
        if (ix < 0 || ix >= w->in_w) {
          edgeq_mve_fill(to, p->in_zero, w->in_c);
        } else {
          edgeq_mve_copy(to, plane + (iy * w->in_w + ix) * w->in_c, w->in_c);
        }
      }
    }
  }
}

/* No groups; three positions at a time, the last time perhaps fewer, when old columns take the place of those that are
 * missing. scratch: sums [3][EDGEQ_MVE_CHUNK], columns [3][depth made whole vectors]. */
void edgeq_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  int8_t *columns = (int8_t *)scratch + 3 * EDGEQ_MVE_CHUNK * 4;
  const int32_t column = edgeq_mve_whole(p->depth);
  const int8_t *const three[3] = {columns, columns + column, columns + 2 * column};
  int32_t y = 0, x = 0;
  for (int32_t left = w->batches * w->out_h * w->out_w; left > 0; left -= 3, out += 3 * w->out_c) {
    const int32_t pixels = left < 3 ? left : 3;
    for (int32_t i = 0; i < pixels; ++i) {
      gather(p, in, y, x, columns + i * column);
      if (++x < w->out_w) continue;
      x = 0;
      if (++y < w->out_h) continue;
      y = 0;
      in += w->in_h * w->in_w * w->in_c;
    }
    edgeq_mve_three_pixels(p, three, pixels, out, scratch);
  }
}
