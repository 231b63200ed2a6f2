#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

/* The second input is the slope below zero; what lies above has a factor of its own. */
static inline int8_t prelu(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = a - p->zero0;
  const int32_t y = x >= 0 ? edgeq_requantize(x, p->scale0) : edgeq_requantize(x * (b - p->zero1), p->out_scale);
  return (int8_t)edgeq_clamp(edgeq_wrapping_add(y, p->out_zero), INT8_MIN, INT8_MAX);
}

EDGEQ_BROADCAST(edgeq_prelu_s8, edgeq_binary_params, int8_t, int8_t, prelu)
