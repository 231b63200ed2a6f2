#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

/* No groups, input channels a multiple of four: whole rows of the filter are widened from where they lie.
 * scratch: [depth / 2][4][2] int16, then in_c bytes of the zero point. */
void edgeq_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t total = w->batches * w->out_h * w->out_w;
  const int32_t row = w->filter_w * w->in_c;
  const int32_t filter_row = w->dilation_h * w->in_w * w->in_c;
  int8_t *padding = (int8_t *)scratch + 8 * p->depth;
  edgeq_dsp_tile tile = edgeq_dsp_tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0;
  memset(padding, p->in_zero, (size_t)w->in_c);
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = edgeq_dsp_tile_start(done, total);
    edgeq_dsp_windows f;
    edgeq_dsp_windows_at(w, in, first, total < 4 ? 0 : 1, &f);
    uint32_t *to = scratch;
    for (int32_t fy = 0; fy < w->filter_h; ++fy) {
      const int8_t *from[4];
      if (f.inside && edgeq_dsp_row_is_there(w, &f, 0, fy) && edgeq_dsp_row_is_there(w, &f, 1, fy) && edgeq_dsp_row_is_there(w, &f, 2, fy) &&
          edgeq_dsp_row_is_there(w, &f, 3, fy)) {
        for (int32_t i = 0; i < 4; ++i) from[i] = f.first[i] + fy * filter_row;
        edgeq_dsp_widen_4(from, row, to);
        to += 2 * row;
        continue;
      }
      for (int32_t fx = 0; fx < w->filter_w; ++fx, to += 2 * w->in_c) {
        for (int32_t i = 0; i < 4; ++i) from[i] = edgeq_dsp_pixel_or(w, &f, i, fy, fx, padding);
        edgeq_dsp_widen_4(from, w->in_c, to);
      }
    }
    tile.out = out + first * w->out_c;
    p->multiply(&tile);
  }
}
