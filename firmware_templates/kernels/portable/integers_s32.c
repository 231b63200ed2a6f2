#include "kernels/edgeq_integers.h"

/* Plain int32: sums and products wrap. */

static inline int32_t limited(const edgeq_integer_params *p, uint32_t value) {
  return edgeq_clamp((int32_t)value, p->act_min, p->act_max);
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
#define DIV(p, a, b) limited(p, (uint32_t)edgeq_quotient(a, b))
#define FLOOR_DIV(p, a, b) edgeq_floor_div(a, b)
#define FLOOR_MOD(p, a, b) edgeq_floor_mod(a, b)
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
