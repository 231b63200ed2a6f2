#include "kernels/edgeq_broadcast.h"

/* Both inputs brought to a common scale with 20 bits of headroom, added, brought to the output's. */
static inline int8_t add(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = edgeq_requantize((a - p->zero0) * (1 << p->left_shift), p->scale0);
  const int32_t y = edgeq_requantize((b - p->zero1) * (1 << p->left_shift), p->scale1);
  const int32_t sum = edgeq_wrapping_add(edgeq_requantize(x + y, p->out_scale), p->out_zero);
  return (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
}

static inline int8_t mul(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t product = edgeq_requantize((a - p->zero0) * (b - p->zero1), p->out_scale);
  return (int8_t)edgeq_clamp(edgeq_wrapping_add(product, p->out_zero), p->act_min, p->act_max);
}

EDGEQ_BROADCAST(edgeq_add_s8, edgeq_binary_params, int8_t, int8_t, add)
EDGEQ_BROADCAST(edgeq_mul_s8, edgeq_binary_params, int8_t, int8_t, mul)
