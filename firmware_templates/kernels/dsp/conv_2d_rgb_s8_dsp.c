#include <string.h>

#include "kernels/edgeq_dsp_columns.h"

static void put(int16_t *to, int32_t word) { __builtin_memcpy(to, &word, 4); }

/* Bytes as int16 in their order. */
static void widen(int16_t *to, const int8_t *from, int32_t bytes) {
  for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
    for (int32_t i = 0; i < 16; i += 4) {
      const uint32_t four = edgeq_load4(from + i);
      const int32_t even = edgeq_sxtb16(four), odd = edgeq_sxtb16_ror8(four);
      put(to + i, edgeq_pack_low(even, odd));
      put(to + i + 2, edgeq_pack_high(even, odd));
    }
  }
  for (; bytes > 0; --bytes) *to++ = *from++;
}

/* Each byte beside the one after it, a word each: pixels at odd places have their pairs aligned too. The half before the
 * first word's is the first byte's as well; the last word's upper half isn't written. */
static void widen_each(int16_t *to, const int8_t *from, int32_t bytes) {
  for (; bytes >= 4; bytes -= 4, from += 4, to += 8) {
    const uint32_t four = edgeq_load4(from);
    const int32_t even = edgeq_sxtb16(four), odd = edgeq_sxtb16_ror8(four);
    to[-1] = (int16_t)even;
    put(to, edgeq_pack_low(even, odd));
    put(to + 2, (int32_t)(((uint32_t)odd & 0xffffu) | ((uint32_t)even & 0xffff0000u)));
    put(to + 4, edgeq_pack_high(even, odd));
    to[6] = (int16_t)(odd >> 16);
  }
  for (; bytes > 0; --bytes, to += 2) to[0] = to[-1] = *from++;
}

/* 3x3 over three channels, stride 1 or 2 sideways and 1 to 3 downwards, output channels a multiple of four, two
 * outputs a row or more. Three input rows are
 * kept widened, with their padding, each where its number modulo three says; windows are used where they lie.
 * scratch: [3][row] bytes; a row's first word only takes what widen_each writes before the row. */
void edgeq_conv_2d_rgb_s8_dsp(const edgeq_dsp_rgb_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t in_row = w->in_w * w->in_c, each = w->stride_w == 1, halves = p->row / 2;
  int16_t *const rows = scratch;
  edgeq_dsp_tiles tiles = p->tiles;
  tiles.out = out;
  for (int32_t batch = 0; batch < w->batches; ++batch, in += w->in_h * in_row) {
    int32_t y = -w->pad_h; /* of the row to be widened next, as its place */
    int32_t place = 0;
    for (int32_t i = 0; i < 3 * halves; ++i) rows[i] = (int16_t)p->in_zero;
    for (int32_t oy = 0; oy < w->out_h; ++oy) {
      const int32_t end = oy * w->stride_h - w->pad_h + 3;
      for (; y < end; ++y) {
        int16_t *const row = rows + place * halves;
        if (y >= 0 && y < w->in_h) {
          if (each) {
            widen_each(row + 2 + 2 * 3 * w->pad_w, in + y * in_row, in_row);
          } else {
            widen(row + 2 + 3 * w->pad_w, in + y * in_row, in_row);
          }
        } else {
          for (int32_t i = 0; i < halves; ++i) row[i] = (int16_t)p->in_zero;
        }
        place = place == 2 ? 0 : place + 1;
      }
      tiles.columns = rows + place * halves + 2; /* the row after the newest is the oldest of three */
      tiles.gaps[0] = place == 2 ? -2 * p->row : p->row;
      tiles.gaps[1] = place == 1 ? -2 * p->row : p->row;
      tiles.gaps[2] = tiles.depth_bytes - tiles.gaps[0] - tiles.gaps[1];
      tiles.tiles = w->out_w / 2;
      p->multiply(&tiles);
      tiles.out += 2 * tiles.tiles * w->out_c;
      if (w->out_w & 1) { /* the last of an odd number, and the one before it again */
        tiles.columns += (w->out_w - 2) * 6;
        tiles.out -= w->out_c;
        tiles.tiles = 1;
        p->multiply(&tiles);
        tiles.out += 2 * w->out_c;
      }
    }
  }
}
