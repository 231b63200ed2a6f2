#include "kernels/edgeq_dsp_columns.h"

/* 1x1, channels in and out multiples of four: columns are the input's own pixels. A chunk of pixels is widened, then
 * multiplied: the output may lie over what was widened. scratch: [chunk][depth / 2][2][2] int16. */
void edgeq_pointwise_conv_2d_paired_s8_dsp(const edgeq_dsp_paired_params *p, const int8_t *in, int8_t *out,
                                           void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t step = w->stride_w * p->depth, in_row = w->in_w * p->depth;
  /* with a stride of 1 all rows are one */
  const int flat = w->stride_w == 1 && w->stride_h == 1;
  const int32_t planes = flat ? 1 : w->batches, rows = flat ? 1 : w->out_h;
  const int32_t row = flat ? w->batches * w->out_h * w->out_w : w->out_w;
  edgeq_dsp_tiles tiles = edgeq_dsp_tiles_of(p, scratch);
  tiles.out = out;
  for (int32_t plane = 0; plane < planes; ++plane) {
    for (int32_t oy = 0; oy < rows; ++oy) {
      const int8_t *from = in + (plane * w->in_h + oy * w->stride_h) * in_row;
      int32_t left = row;
      for (; left > 1; left -= 2 * tiles.tiles) {
        tiles.tiles = left < 2 * p->chunk ? left / 2 : p->chunk;
        edgeq_dsp_widen_pairs(from, p->depth, tiles.tiles, scratch, step);
        p->multiply(&tiles);
        from += 2 * tiles.tiles * step;
        tiles.out += 2 * tiles.tiles * w->out_c;
      }
      if (left == 0) continue;
      edgeq_dsp_widen_pairs(from, p->depth, 1, scratch, 0); /* a pair of one pixel: both write the same bytes */
      tiles.tiles = 1;
      tiles.out_stride = 0;
      p->multiply(&tiles);
      tiles.out_stride = w->out_c;
      tiles.out += w->out_c;
    }
  }
}
