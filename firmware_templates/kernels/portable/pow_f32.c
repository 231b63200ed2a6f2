#include "kernels/edgeq_broadcast.h"
#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

/* A negative base has whole exponents only, whose last bit decides about the sign. */
static inline float power(float base, float exponent) {
  if (exponent == 0.0f || base == 1.0f) return 1.0f;
  if (base == 0.0f) return exponent < 0.0f ? 1.0f / (base * base) : 0.0f;
  if (base > 0.0f) return (float)edgeq_exp((double)exponent * edgeq_log((double)base));
  if (edgeq_floorf(exponent) != exponent) return (base - base) / (base - base);
  const float size = (float)edgeq_exp((double)exponent * edgeq_log(-(double)base));
  return edgeq_floorf(exponent * 0.5f) * 2.0f == exponent ? size : -size;
}

#define POW(p, a, b) power(a, b)

EDGEQ_BROADCAST(edgeq_pow_f32, edgeq_float_params, float, float, POW)
