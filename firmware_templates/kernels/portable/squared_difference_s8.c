#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

static inline int8_t squared_difference(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = edgeq_requantize((a - p->zero0) * (1 << p->left_shift), p->scale0);
  const int32_t y = edgeq_requantize((b - p->zero1) * (1 << p->left_shift), p->scale1);
  const int32_t square = edgeq_requantize((x - y) * (x - y), p->out_scale);
  return (int8_t)edgeq_clamp(edgeq_wrapping_add(square, p->out_zero), p->act_min, p->act_max);
}

EDGEQ_BROADCAST(edgeq_squared_difference_s8, edgeq_binary_params, int8_t, int8_t, squared_difference)
