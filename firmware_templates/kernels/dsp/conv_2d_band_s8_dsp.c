#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

/* Four bytes a time as int16, in the order that SXTB16 leaves. */
static void widen(uint32_t *to, const int8_t *from, int32_t bytes) {
  for (const int8_t *end = from + bytes; from != end; from += 16, to += 8) { /* input channels: multiples of 16 */
    const uint32_t a = edgeq_load4(from), b = edgeq_load4(from + 4), c = edgeq_load4(from + 8),
                   d = edgeq_load4(from + 12);
    to[0] = (uint32_t)edgeq_sxtb16(a);
    to[1] = (uint32_t)edgeq_sxtb16_ror8(a);
    to[2] = (uint32_t)edgeq_sxtb16(b);
    to[3] = (uint32_t)edgeq_sxtb16_ror8(b);
    to[4] = (uint32_t)edgeq_sxtb16(c);
    to[5] = (uint32_t)edgeq_sxtb16_ror8(c);
    to[6] = (uint32_t)edgeq_sxtb16(d);
    to[7] = (uint32_t)edgeq_sxtb16_ror8(d);
  }
}

static void fill(uint32_t *to, uint32_t word, int32_t words) {
  for (uint32_t *end = to + words; to != end; ++to) *to = word;
}

static void move_up(uint32_t *to, const uint32_t *from, int32_t words) {
  for (uint32_t *end = to + words; to != end; to += 8, from += 8) { /* pixels: multiples of 8 words */
    const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
    const uint32_t e = from[4], f = from[5], g = from[6], h = from[7];
    to[0] = a, to[1] = b, to[2] = c, to[3] = d;
    to[4] = e, to[5] = f, to[6] = g, to[7] = h;
  }
}

/* No groups or dilation; input channels a multiple of 16, output channels of four, an even width of the output. The input
 * rows under one row of outputs are kept widened, with their padding, which neighbouring rows share as far as both have it:
 * going down, the band is moved up by the stride. scratch: band_bytes, then a group's weights, if they are to be copied. */
void edgeq_conv_2d_band_s8_dsp(const edgeq_dsp_band_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t words = p->band_row / 4, in_row = w->in_w * w->in_c;
  const uint32_t zero = (uint32_t)(p->in_zero & 0xffff) * 0x10001u;
  uint32_t *const band = scratch;
  edgeq_dsp_band_tiles tiles = p->tiles;
  tiles.band = scratch;
  tiles.out = out;
  tiles.copy = p->copied ? band + p->band_bytes / 4 : NULL;
  for (int32_t batch = 0; batch < w->batches; ++batch, in += w->in_h * in_row) {
    int32_t y = -w->pad_h; /* of the input row that is next in the band */
    int32_t kept = 0;      /* rows that are in it already */
    fill(band, zero, p->band_bytes / 4);
    for (int32_t oy = 0; oy < w->out_h; ++oy, tiles.out += w->out_w * w->out_c) {
      for (int32_t fy = kept; fy < w->filter_h; ++fy, ++y) {
        uint32_t *const line = band + fy * words;
        if (y >= 0 && y < w->in_h) {
          widen(line + w->pad_w * w->in_c / 2, in + y * in_row, in_row);
        } else {
          fill(line, zero, words);
        }
      }
      p->multiply(&tiles);
      kept = w->stride_h < w->filter_h ? w->filter_h - w->stride_h : 0;
      y += w->stride_h - (w->filter_h - kept);
      move_up(band, band + w->stride_h * words, kept * words);
    }
  }
}
