#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

/* As ADD, with the second input's multiplier negated: the rounding isn't symmetric, so the order matters. */
static inline int8_t sub(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = edgeq_requantize((a - p->zero0) * (1 << p->left_shift), p->scale0);
  const int32_t y = edgeq_requantize((b - p->zero1) * (1 << p->left_shift), p->scale1);
  const int32_t rest = edgeq_wrapping_add(edgeq_requantize(x - y, p->out_scale), p->out_zero);
  return (int8_t)edgeq_clamp(rest, p->act_min, p->act_max);
}

EDGEQ_BROADCAST(edgeq_sub_s8, edgeq_binary_params, int8_t, int8_t, sub)
