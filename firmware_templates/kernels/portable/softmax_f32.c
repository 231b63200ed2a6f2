#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

static float largest(const float *in, int32_t depth) {
  float top = -3.402823466e+38f;
  for (int32_t c = 0; c < depth; ++c) top = in[c] > top ? in[c] : top;
  return top;
}

void edgeq_softmax_f32(const edgeq_softmax_f32_params *p, const float *in, float *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    const float top = largest(in, p->depth);
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) {
      out[c] = edgeq_expf((in[c] - top) * p->beta);
      sum += out[c];
    }
    for (int32_t c = 0; c < p->depth; ++c) out[c] /= sum;
  }
}

void edgeq_log_softmax_f32(const edgeq_softmax_f32_params *p, const float *in, float *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    const float top = largest(in, p->depth);
    float sum = 0.0f;
    for (int32_t c = 0; c < p->depth; ++c) sum += edgeq_expf(in[c] - top);
    const float log_sum = edgeq_logf(sum);
    for (int32_t c = 0; c < p->depth; ++c) out[c] = in[c] - top - log_sum;
  }
}
