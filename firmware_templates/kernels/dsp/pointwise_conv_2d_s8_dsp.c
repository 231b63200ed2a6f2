#include "kernels/edgeq_dsp_columns.h"

/* 1x1, stride 1, depth a multiple of four: columns are the input's own pixels. */
void edgeq_pointwise_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t total = p->window.batches * p->window.out_h * p->window.out_w;
  edgeq_dsp_tile tile = edgeq_dsp_tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0; /* one position four times over: all write the same bytes */
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = edgeq_dsp_tile_start(done, total);
    const int32_t step = total < 4 ? 0 : p->depth;
    const int8_t *pixel = in + first * p->depth;
    const int8_t *const from[4] = {pixel, pixel + step, pixel + 2 * step, pixel + 3 * step};
    edgeq_dsp_widen_4(from, p->depth, scratch);
    tile.out = out + first * p->window.out_c;
    p->multiply(&tile);
  }
}
