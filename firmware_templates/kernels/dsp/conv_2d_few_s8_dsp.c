#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

/* Words; the last one goes back so that it ends where the row ends. Rows are short: a call of memcpy would cost
 * more than the copy. */
static inline int8_t *copy_row(int8_t *to, const int8_t *from, int32_t bytes) {
  int8_t *end = to + bytes;
  if (bytes < 4) {
    if (bytes > 0) to[0] = from[0];
    if (bytes > 1) to[1] = from[1];
    if (bytes > 2) to[2] = from[2];
    return end;
  }
  const uint32_t last = edgeq_load4(from + bytes - 4);
  for (; to < end - 4; to += 4, from += 4) {
    const uint32_t word = edgeq_load4(from);
    __builtin_memcpy(to, &word, 4);
  }
  __builtin_memcpy(end - 4, &last, 4);
  return end;
}

/* No groups, any number of input channels: columns are gathered as bytes first.
 * scratch: [depth / 2][4][2] int16, then [4][depth] int8, then a filter row of the zero point. */
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
  memset(padding, p->in_zero, (size_t)row);
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = edgeq_dsp_tile_start(done, total);
    edgeq_dsp_windows f;
    edgeq_dsp_windows_at(w, in, first, total < 4 ? 0 : 1, &f);
    const int8_t *from[4];
    for (int32_t i = 0; i < 4; ++i) {
      int8_t *to = bytes + i * p->depth;
      from[i] = to;
      for (int32_t fy = 0; fy < w->filter_h; ++fy) {
        if (w->dilation_w == 1) {
          const int there = edgeq_dsp_row_is_there(w, &f, i, fy);
          const int32_t left = there ? f.left[i] * w->in_c : row;
          const int32_t right = there ? f.right[i] * w->in_c : 0;
          const int8_t *source = f.first[i] + fy * filter_row;
          if (left) to = copy_row(to, padding, left);
          if (row > left + right) to = copy_row(to, source + left, row - left - right);
          if (right) to = copy_row(to, padding, right);
          continue;
        }
        for (int32_t fx = 0; fx < w->filter_w; ++fx) {
          to = copy_row(to, edgeq_dsp_pixel_or(w, &f, i, fy, fx, padding), w->in_c);
        }
      }
    }
    edgeq_dsp_widen_4(from, p->depth, scratch);
    tile.out = out + first * w->out_c;
    p->multiply(&tile);
  }
}
