#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

void edgeq_l2_normalization_f32(const edgeq_softmax_f32_params *p, const float *in, float *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) sum += in[c] * in[c];
    const float root = edgeq_sqrtf(sum), norm = root > 1e-6f ? root : 1e-6f;
    for (int32_t c = 0; c < p->depth; ++c) out[c] = in[c] / norm;
  }
}
