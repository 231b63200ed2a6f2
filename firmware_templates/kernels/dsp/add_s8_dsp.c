#include "kernels/edgeq_dsp.h"

/* x * multiplier / 2^31 rounded, then shifted right with ties away from zero; x already doubled. */
static inline int32_t scaled(int32_t x, int32_t multiplier, int32_t right, int32_t half, int32_t ties) {
  const int32_t y = edgeq_smmulr(x, multiplier);
  return (y + ((y >> 31) & ties) + half) >> right;
}

/* Tensors of one shape, every shift to the right. out may be either input. */
void edgeq_add_s8_dsp(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out) {
  const int32_t up = p->left_shift + 1;
  const int32_t right0 = -p->scale0.shift, right1 = -p->scale1.shift, right = -p->out_scale.shift;
  const int32_t ties0 = right0 ? -1 : 0, ties1 = right1 ? -1 : 0, ties = right ? -1 : 0;
  const int32_t half0 = (1 << right0) >> 1, half1 = (1 << right1) >> 1, half = (1 << right) >> 1;
  const int32_t zero0 = p->zero0 * (1 << up), zero1 = p->zero1 * (1 << up);
  const int32_t count = p->size[5];
  for (int32_t i = 0; i < count; ++i) {
    const int32_t a = scaled(in0[i] * (1 << up) - zero0, p->scale0.multiplier, right0, half0, ties0);
    const int32_t b = scaled(in1[i] * (1 << up) - zero1, p->scale1.multiplier, right1, half1, ties1);
    const int32_t sum = scaled((a + b) * 2, p->out_scale.multiplier, right, half, ties) + p->out_zero;
    out[i] = (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
  }
}
