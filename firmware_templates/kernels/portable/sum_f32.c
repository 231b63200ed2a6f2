#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_reduction.h"

#define ADDED(a, b) ((a) + (b))

EDGEQ_REDUCTION(edgeq_sum_f32, edgeq_reduce_params, float, 0.0f, ADDED)

static EDGEQ_REDUCTION(sums, edgeq_mean_f32_params, float, 0.0f, ADDED)

void edgeq_mean_f32(const edgeq_mean_f32_params *p, const float *in, float *out) {
  int32_t outputs = 1;
  for (int32_t d = 0; d < 6; ++d) outputs *= p->reduce[d] ? 1 : p->size[d];
  sums(p, in, out);
  for (int32_t i = 0; i < outputs; ++i) out[i] /= (float)p->count;
}
