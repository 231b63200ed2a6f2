/* Quotients of plain integers: division by zero, which the reference refuses, gives zero. */
#ifndef EDGEQ_INTEGERS_H
#define EDGEQ_INTEGERS_H

#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

static inline int32_t edgeq_quotient(int32_t a, int32_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

static inline int32_t edgeq_remainder(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }

static inline int32_t edgeq_floor_div(int32_t a, int32_t b) {
  return edgeq_quotient(a, b) - (edgeq_remainder(a, b) != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

static inline int32_t edgeq_floor_mod(int32_t a, int32_t b) {
  const int32_t rest = edgeq_remainder(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

#endif
