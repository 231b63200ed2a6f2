#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

static inline float round_even(float x) {
  const float whole = edgeq_floorf(x), rest = x - whole;
  if (rest != 0.5f) return rest > 0.5f ? whole + 1.0f : whole;
  return edgeq_floorf(whole * 0.5f) * 2.0f == whole ? whole : whole + 1.0f;
}

#define EDGEQ_UNARY(NAME, VALUE)                                                              \
  void NAME(const edgeq_unary_f32_params *p, const float *in, float *out) {             \
    for (int32_t i = 0; i < p->count; ++i) {                                            \
      const float x = in[i];                                                            \
      out[i] = VALUE;                                                                   \
    }                                                                                   \
  }

EDGEQ_UNARY(edgeq_clamp_f32, edgeq_clampf(x, p->low, p->high))
EDGEQ_UNARY(edgeq_leaky_relu_f32, x > 0.0f ? x : x * p->low)
EDGEQ_UNARY(edgeq_abs_f32, x < 0.0f ? -x : x)
EDGEQ_UNARY(edgeq_neg_f32, -x)
EDGEQ_UNARY(edgeq_square_f32, x *x)
EDGEQ_UNARY(edgeq_hard_swish_f32, x *edgeq_clampf(x + 3.0f, 0.0f, 6.0f) / 6.0f)
EDGEQ_UNARY(edgeq_floor_f32, edgeq_floorf(x))
EDGEQ_UNARY(edgeq_ceil_f32, -edgeq_floorf(-x))
EDGEQ_UNARY(edgeq_round_f32, round_even(x))
EDGEQ_UNARY(edgeq_sqrt_f32, edgeq_sqrtf(x))
EDGEQ_UNARY(edgeq_rsqrt_f32, 1.0f / edgeq_sqrtf(x))
