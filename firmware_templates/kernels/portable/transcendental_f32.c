#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

/* In float as the reference has it: what is far below zero needs no division. */
static inline float logistic(float x) {
  if (x > 16.619047164916992188f) return 1.0f;
  return x < -9.0f ? edgeq_expf(x) : 1.0f / (1.0f + edgeq_expf(-x));
}

/* low: whether the tanh() of a cube stands for the error function. */
static inline float gelu(float x, float low) {
  const float smooth = low > 0.0f ? edgeq_tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x))
                                  : (float)edgeq_erf((double)(x * 0.70710678118654752f));
  return 0.5f * x * (1.0f + smooth);
}

#define EDGEQ_UNARY(NAME, VALUE)                                                              \
  void NAME(const edgeq_unary_f32_params *p, const float *in, float *out) {             \
    for (int32_t i = 0; i < p->count; ++i) {                                            \
      const float x = in[i];                                                            \
      out[i] = VALUE;                                                                   \
    }                                                                                   \
  }

EDGEQ_UNARY(edgeq_exp_f32, edgeq_expf(x))
EDGEQ_UNARY(edgeq_log_f32, edgeq_logf(x))
EDGEQ_UNARY(edgeq_tanh_f32, edgeq_tanhf(x))
EDGEQ_UNARY(edgeq_logistic_f32, logistic(x))
EDGEQ_UNARY(edgeq_elu_f32, x < 0.0f ? (float)edgeq_expm1((double)x) : x)
EDGEQ_UNARY(edgeq_gelu_f32, gelu(x, p->low))
