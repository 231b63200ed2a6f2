#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

/* Words, then the bytes that are left: rows are short, a call of memcpy would cost more than the copy. */
static inline int8_t *copy_row(int8_t *to, const int8_t *from, int32_t bytes) {
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) {
    const uint32_t word = edgeq_load4(from);
    __builtin_memcpy(to, &word, 4);
  }
  while (bytes-- > 0) *to++ = *from++;
  return to;
}

/* No groups, any number of input channels: columns are gathered as bytes first.
 * scratch: [depth / 2][4][2] int16, then [4][depth] int8, then in_c bytes of the zero point. */
void edgeq_conv_2d_few_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t total = w->batches * w->out_h * w->out_w;
  const int32_t row = w->filter_w * w->in_c;
  const int32_t filter_row = w->dilation_h * w->in_w * w->in_c;
  int8_t *bytes = (int8_t *)scratch + 8 * p->depth;
  int8_t *padding = bytes + 4 * p->depth;
  edgeq_dsp_tile tile = edgeq_dsp_tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0;
  memset(bytes, 0, 4 * (size_t)p->depth); /* what pads the depth meets zero weights, but must be there */
  memset(padding, p->in_zero, (size_t)w->in_c);
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = edgeq_dsp_tile_start(done, total);
    edgeq_dsp_windows f;
    edgeq_dsp_windows_at(w, in, first, total < 4 ? 0 : 1, &f);
    const int8_t *from[4];
    for (int32_t i = 0; i < 4; ++i) {
      int8_t *to = bytes + i * p->depth;
      from[i] = to;
      for (int32_t fy = 0; fy < w->filter_h; ++fy) {
        if (f.inside && edgeq_dsp_row_is_there(w, &f, i, fy)) {
          to = copy_row(to, f.first[i] + fy * filter_row, row);
          continue;
        }
        for (int32_t fx = 0; fx < w->filter_w; ++fx) to = copy_row(to, edgeq_dsp_pixel_or(w, &f, i, fy, fx, padding), w->in_c);
      }
    }
    edgeq_dsp_widen_4(from, p->depth, scratch);
    tile.out = out + first * w->out_c;
    edgeq_dsp_mat_mul_4(&tile);
  }
}
