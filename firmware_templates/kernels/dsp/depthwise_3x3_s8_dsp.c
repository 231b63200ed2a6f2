#include "kernels/edgeq_dsp.h"

/* Two pixels of four channels, as one word for each channel's row of int16. */
static inline void spread(uint32_t a, uint32_t b, int16_t *to, int32_t row) {
  const int32_t a02 = edgeq_sxtb16(a), a13 = edgeq_sxtb16_ror8(a);
  const int32_t b02 = edgeq_sxtb16(b), b13 = edgeq_sxtb16_ror8(b);
  *(int32_t *)(void *)to = edgeq_pack_low(a02, b02);
  *(int32_t *)(void *)(to + row) = edgeq_pack_low(a13, b13);
  *(int32_t *)(void *)(to + 2 * row) = edgeq_pack_high(a02, b02);
  *(int32_t *)(void *)(to + 3 * row) = edgeq_pack_high(a13, b13);
}

/* One input row of four channels into four rows of int16, `pad` elements of the zero point first.
 * in: the row's first pixel, NULL where the row is padding; the next ones follow every `pixel_bytes`. */
static void widen_row(const int8_t *in, int32_t width, int32_t pixel_bytes, int32_t pad, uint32_t zero, int16_t *to,
                      int32_t row) {
  int32_t at = 0;
  if (in) {
    if (pad) {
      spread(zero, edgeq_load4(in), to, row);
      at = 2;
    }
    const int8_t *pixel = in + (at - pad) * pixel_bytes;
    for (; at + 1 < width + pad; at += 2, pixel += 2 * pixel_bytes) {
      spread(edgeq_load4(pixel), edgeq_load4(pixel + pixel_bytes), to + at, row);
    }
    if (at < width + pad) {
      spread(edgeq_load4(pixel), zero, to + at, row);
      at += 2;
    }
  }
  for (; at < row; at += 2) spread(zero, zero, to + at, row);
}

/* Bytes k0 k1 k2 0 of a filter row as (k0, k1) and (k1, k2). */
static inline void unpack_row(uint32_t word, int32_t to[2]) {
  const int32_t k02 = edgeq_sxtb16(word), k1 = edgeq_sxtb16_ror8(word);
  to[0] = edgeq_pack_low(k02, k1);
  to[1] = (int32_t)(((uint32_t)k02 & 0xffff0000u) | ((uint32_t)k1 & 0xffffu));
}

/* 3x3, stride 1 or 2, no dilation, at most one element padded to the left, channels a multiple of four, every
 * right shift > 0, no clamp tighter than int8, no left shift. Walks down the plane with the last three input
 * rows of four channels widened in scratch: [3][4][depth] int16, depth a row's length with its padding.
 * sideways: the plane is walked sideways, so that its long side makes the rows: window and weights are
 * transposed already, the tensors are not. */
void edgeq_depthwise_3x3_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const uint32_t zero = (uint32_t)(uint8_t)p->in_zero * 0x01010101u;
  const int32_t length = p->depth;
  const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
  int16_t *slots = scratch;
  const int32_t in_pixel = p->sideways ? w->in_h * w->in_c : w->in_c, in_row = p->sideways ? w->in_c : w->in_w * w->in_c;
  const int32_t out_pixel = p->sideways ? w->out_h * w->out_c : w->out_c;
  const int32_t out_row = p->sideways ? w->out_c : w->out_w * w->out_c;
  for (int32_t n = 0; n < w->batches; ++n) {
    const int8_t *plane = in + n * w->in_h * w->in_w * w->in_c;
    for (int32_t c = 0; c < w->in_c; c += 4) {
      edgeq_dsp_channel channels[4];
      for (int32_t i = 0; i < 4; ++i) {
        const edgeq_dsp_scale *s = p->scales + c + i;
        for (int32_t k = 0; k < 3; ++k) unpack_row(weights[3 * (c + i) + k], channels[i].weights + 2 * k);
        channels[i].bias = p->bias[c + i];
        channels[i].multiplier = s->multiplier;
        channels[i].round = s->round;
        channels[i].right = (int32_t)((s->shifts >> 8) & 0xffu);
      }
      edgeq_dsp_row row = {
          .rows = {slots, slots + 4 * length, slots + 8 * length},
          .out = out + n * w->out_h * w->out_w * w->out_c + c,
          .channels = channels,
          .step = out_pixel,
          .count = w->out_w,
          .row_bytes = 2 * length,
      };
      int32_t ready = -w->pad_h; /* the next input row to widen */
      for (int32_t y = 0; y < w->out_h; ++y, row.out += out_row) {
        const int32_t top = y * w->stride_h - w->pad_h;
        if (ready < top) ready = top;
        for (; ready < top + 3; ++ready) {
          int16_t *oldest = (int16_t *)(uintptr_t)row.rows[0];
          row.rows[0] = row.rows[1];
          row.rows[1] = row.rows[2];
          row.rows[2] = oldest;
          const int8_t *from = ready >= 0 && ready < w->in_h ? plane + ready * in_row + c : NULL;
          widen_row(from, w->in_w, in_pixel, w->pad_w, zero, oldest, length);
        }
        if (w->stride_w == 1) {
          edgeq_dsp_depthwise_3x3_row_1(&row);
        } else {
          edgeq_dsp_depthwise_3x3_row_2(&row);
        }
      }
    }
  }
}
