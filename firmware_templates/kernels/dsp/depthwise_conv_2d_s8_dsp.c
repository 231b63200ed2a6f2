#include <string.h>

#include "kernels/edgeq_dsp.h"

/* Two taps of four channels: bytes of pixel a and pixel b, and two words of weights in the order of edgeq_dsp.h. */
static inline void two_taps(const int8_t *a, const int8_t *b, const uint32_t *weights, int32_t sum[4]) {
  const uint32_t x = edgeq_load4(a), y = edgeq_load4(b);
  const uint32_t w01 = weights[0], w23 = weights[1]; /* channels 0 and 1, channels 2 and 3 */
  const int32_t x02 = edgeq_sxtb16(x), x13 = edgeq_sxtb16_ror8(x);
  const int32_t y02 = edgeq_sxtb16(y), y13 = edgeq_sxtb16_ror8(y);
  sum[0] = edgeq_smlad(edgeq_pack_low(x02, y02), edgeq_sxtb16(w01), sum[0]);
  sum[1] = edgeq_smlad(edgeq_pack_low(x13, y13), edgeq_sxtb16_ror8(w01), sum[1]);
  sum[2] = edgeq_smlad(edgeq_pack_high(x02, y02), edgeq_sxtb16(w23), sum[2]);
  sum[3] = edgeq_smlad(edgeq_pack_high(x13, y13), edgeq_sxtb16_ror8(w23), sum[3]);
}

/* One output position: channels four at a time, what remains one at a time (its weights stand behind the others,
 * tap by tap). taps: pointers to the input pixels, an even number. */
static void position(const edgeq_dsp_conv_params *p, const int8_t *const *taps, int8_t *out) {
  const uint32_t *weights = (const uint32_t *)(const void *)p->weights;
  const int32_t *bias = p->bias;
  const edgeq_dsp_scale *scale = p->scales;
  int32_t c = 0;
  for (; c + 4 <= p->window.out_c; c += 4, bias += 4, scale += 4, out += 4) {
    int32_t sum[4] = {bias[0], bias[1], bias[2], bias[3]};
    for (int32_t t = 0; t < p->depth; t += 2, weights += 2) two_taps(taps[t] + c, taps[t + 1] + c, weights, sum);
    for (int32_t i = 0; i < 4; ++i) out[i] = (int8_t)edgeq_dsp_finish(sum[i], scale + i, p->act_min, p->act_max);
  }
  const int8_t *rest = (const int8_t *)weights;
  for (; c < p->window.out_c; ++c, ++bias, ++scale) {
    int32_t sum = *bias;
    for (int32_t t = 0; t < p->depth; ++t) sum += taps[t][c] * *rest++;
    *out++ = (int8_t)edgeq_dsp_finish(sum, scale, p->act_min, p->act_max);
  }
}

/* Depth multiplier 1. depth: taps, padded to an even number (the last points at
 * the padding and meets zero weights). scratch: depth pointers, then in_c bytes of the zero point. */
void edgeq_depthwise_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int8_t **taps = scratch;
  int8_t *padding = (int8_t *)(taps + p->depth);
  memset(padding, p->in_zero, (size_t)w->in_c);
  taps[p->depth - 1] = padding;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x, out += w->out_c) {
        const int8_t **tap = taps;
        for (int32_t fy = 0; fy < w->filter_h; ++fy) {
          const int32_t iy = y * w->stride_h - w->pad_h + fy * w->dilation_h;
          for (int32_t fx = 0; fx < w->filter_w; ++fx) {
            const int32_t ix = x * w->stride_w - w->pad_w + fx * w->dilation_w;
            const int inside = iy >= 0 && iy < w->in_h && ix >= 0 && ix < w->in_w;
            *tap++ = inside ? in + (iy * w->in_w + ix) * w->in_c : padding;
          }
        }
        position(p, taps, out);
      }
    }
  }
}
