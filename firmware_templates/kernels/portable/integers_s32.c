#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

/* Plain int32: sums and products wrap, and division by zero, which the reference refuses, gives zero. */

static inline int32_t limited(const edgeq_integer_params *p, uint32_t value) {
  return edgeq_clamp((int32_t)value, p->act_min, p->act_max);
}

static inline int32_t quotient(int32_t a, int32_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

static inline int32_t remainder_of(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }

static inline int32_t floor_div(int32_t a, int32_t b) {
  return quotient(a, b) - (remainder_of(a, b) != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

static inline int32_t floor_mod(int32_t a, int32_t b) {
  const int32_t rest = remainder_of(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static inline int32_t power(int32_t base, int32_t exponent) {
  uint32_t result = 1, square = (uint32_t)base;
  for (uint32_t e = exponent < 0 ? 0u : (uint32_t)exponent; e; e >>= 1, square *= square) {
    if (e & 1) result *= square;
  }
  return (int32_t)result;
}

static inline int32_t square_of(int32_t a, int32_t b) {
  const uint32_t d = (uint32_t)a - (uint32_t)b;
  return (int32_t)(d * d);
}

#define ADD(p, a, b) limited(p, (uint32_t)(a) + (uint32_t)(b))
#define SUB(p, a, b) limited(p, (uint32_t)(a) - (uint32_t)(b))
#define MUL(p, a, b) limited(p, (uint32_t)(a) * (uint32_t)(b))
#define DIV(p, a, b) limited(p, (uint32_t)quotient(a, b))
#define FLOOR_DIV(p, a, b) floor_div(a, b)
#define FLOOR_MOD(p, a, b) floor_mod(a, b)
#define POW(p, a, b) power(a, b)
#define SQUARED_DIFFERENCE(p, a, b) square_of(a, b)

EDGEQ_BROADCAST(edgeq_add_s32, edgeq_integer_params, int32_t, int32_t, ADD)
EDGEQ_BROADCAST(edgeq_sub_s32, edgeq_integer_params, int32_t, int32_t, SUB)
EDGEQ_BROADCAST(edgeq_mul_s32, edgeq_integer_params, int32_t, int32_t, MUL)
EDGEQ_BROADCAST(edgeq_div_s32, edgeq_integer_params, int32_t, int32_t, DIV)
EDGEQ_BROADCAST(edgeq_floor_div_s32, edgeq_integer_params, int32_t, int32_t, FLOOR_DIV)
EDGEQ_BROADCAST(edgeq_floor_mod_s32, edgeq_integer_params, int32_t, int32_t, FLOOR_MOD)
EDGEQ_BROADCAST(edgeq_pow_s32, edgeq_integer_params, int32_t, int32_t, POW)
EDGEQ_BROADCAST(edgeq_squared_difference_s32, edgeq_integer_params, int32_t, int32_t, SQUARED_DIFFERENCE)
