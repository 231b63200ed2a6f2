#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

static inline uint8_t compare(const edgeq_compare_params *p, int16_t a, int16_t b) {
  return (p->relation & (a < b ? 1 : a == b ? 2 : a > b ? 4 : 8)) != 0;
}

EDGEQ_BROADCAST(edgeq_compare_s16, edgeq_compare_params, int16_t, uint8_t, compare)
