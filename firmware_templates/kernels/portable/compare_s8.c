#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

/* Real values with 8 bits of fraction, as far as the scales leave them apart. */
static inline uint8_t compare(const edgeq_compare_params *p, int32_t a, int32_t b) {
  const int32_t x = edgeq_requantize((a - p->zero0) * (1 << 8), p->scale0);
  const int32_t y = edgeq_requantize((b - p->zero1) * (1 << 8), p->scale1);
  return (p->relation & (x < y ? 1 : x == y ? 2 : 4)) != 0;
}

EDGEQ_BROADCAST(edgeq_compare_s8, edgeq_compare_params, int8_t, uint8_t, compare)
