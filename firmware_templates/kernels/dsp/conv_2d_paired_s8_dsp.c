#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

/* Words, then bytes. */
__attribute__((noinline)) static void copy(int8_t *to, const int8_t *from, int32_t bytes) {
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) {
    const uint32_t words[4] = {edgeq_load4(from), edgeq_load4(from + 4), edgeq_load4(from + 8), edgeq_load4(from + 12)};
    __builtin_memcpy(to, words, 4);
    __builtin_memcpy(to + 4, words + 1, 4);
    __builtin_memcpy(to + 8, words + 2, 4);
    __builtin_memcpy(to + 12, words + 3, 4);
  }
  for (; bytes > 0; --bytes) *to++ = *from++;
}

/* No groups, any filter, no dilation, output channels a multiple of four. The input rows under one row of outputs, with
 * their padding, are kept in a band: [filter_h][band_row] bytes; going down, it is moved up by the stride, so that the
 * output may lie over input rows that were read. From there windows are widened, a chunk of them at a time.
 * scratch: [chunk][depth / 2][2][2] int16, what a window's rows have beyond whole words, the band. */
void edgeq_conv_2d_paired_s8_dsp(const edgeq_dsp_paired_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t row = w->filter_w * w->in_c, in_row = w->in_w * w->in_c, aside = row & 3;
  const int32_t rest_bytes = p->depth - (row - aside) * w->filter_h;
  int8_t *const rest = (int8_t *)scratch + p->chunk * 4 * p->depth, *const band = rest + rest_bytes;
  const edgeq_dsp_gather_shape shape = {rest, w->filter_h, row - aside, aside, p->band_row - row, rest_bytes / 4};
  edgeq_dsp_tiles tiles = edgeq_dsp_tiles_of(p, scratch);
  const int32_t step = w->stride_w * w->in_c, full = 2 * p->chunk, next = p->depth - 1; /* calls keep no loads */
  int32_t left = w->batches * w->out_h * w->out_w, count = 0;
  uint32_t *to = scratch;
  tiles.out = out;
  memset(band, p->in_zero, (size_t)(p->band_row * w->filter_h));
  for (; left; in += w->in_h * in_row) {
    int32_t y = -w->pad_h; /* of the input row that is next in the band */
    int32_t kept = 0;      /* rows that are in it already */
    for (int32_t oy = 0; oy < w->out_h; ++oy) {
      for (int32_t fy = kept; fy < w->filter_h; ++fy, ++y) {
        int8_t *const line = band + fy * p->band_row;
        if (y >= 0 && y < w->in_h) {
          copy(line + w->pad_w * w->in_c, in + y * in_row, in_row);
        } else {
          memset(line, p->in_zero, (size_t)p->band_row);
        }
      }
      const int8_t *from = band;
      for (int32_t ox = 0; ox < w->out_w; ++ox, from += step) {
        edgeq_dsp_gather(&shape, from, to);
        to += ++count & 1 ? 1 : next;
        if (--left && count < full) continue;
        tiles.tiles = count / 2;
        if (tiles.tiles) p->multiply(&tiles);
        tiles.out += 2 * tiles.tiles * w->out_c;
        if (count & 1) { /* the last of an odd number: a pair of which both write the same bytes */
          edgeq_dsp_gather(&shape, from, to);
          tiles.columns = (const int16_t *)(const void *)(to - 1);
          tiles.tiles = 1;
          tiles.out_stride = 0;
          p->multiply(&tiles);
        }
        to = scratch;
        count = 0;
      }
      kept = w->stride_h < w->filter_h ? w->filter_h - w->stride_h : 0;
      y += w->stride_h - (w->filter_h - kept);
      copy(band, band + w->stride_h * p->band_row, kept * p->band_row); /* upwards: front to back will do */
    }
  }
}
