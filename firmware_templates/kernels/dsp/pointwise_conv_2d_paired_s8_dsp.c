#include "kernels/edgeq_dsp_columns.h"

/* 1x1, stride 1, channels in and out multiples of four: columns are the input's own pixels. A chunk of pixels is widened,
 * then multiplied: the output may lie over what was widened. scratch: [chunk][depth / 2][2][2] int16. */
void edgeq_pointwise_conv_2d_paired_s8_dsp(const edgeq_dsp_paired_params *p, const int8_t *in, int8_t *out,
                                           void *scratch) {
  int32_t left = p->window.batches * p->window.out_h * p->window.out_w;
  edgeq_dsp_tiles tiles = edgeq_dsp_tiles_of(p, scratch);
  tiles.out = out;
  for (; left > 1; left -= 2 * tiles.tiles) {
    tiles.tiles = left < 2 * p->chunk ? left / 2 : p->chunk;
    edgeq_dsp_widen_pairs(in, p->depth, tiles.tiles, scratch);
    p->multiply(&tiles);
    in += 2 * tiles.tiles * p->depth;
    tiles.out += 2 * tiles.tiles * p->window.out_c;
  }
  if (left == 0) return;
  uint32_t *to = scratch; /* the last of an odd number: a pair of which both write the same bytes */
  for (int32_t k = 0; k < p->depth; k += 4, to += 4) {
    const uint32_t bytes = edgeq_load4(in + k);
    to[0] = to[1] = (uint32_t)edgeq_sxtb16(bytes);
    to[2] = to[3] = (uint32_t)edgeq_sxtb16_ror8(bytes);
  }
  tiles.tiles = 1;
  tiles.out_stride = 0;
  p->multiply(&tiles);
}
