#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

void edgeq_svdf_f32(const edgeq_svdf_f32_params *p, const float *in, float *state, float *out) {
  for (int32_t n = 0; n < p->batches; ++n, in += p->inputs) {
    const float *feature = p->features, *time = p->times;
    for (int32_t u = 0; u < p->units; ++u) {
      float total = 0.0f;
      for (int32_t r = 0; r < p->rank; ++r, feature += p->inputs, time += p->memory, state += p->memory) {
        float sum = 0.0f, weighed = 0.0f;
        for (int32_t k = 0; k < p->inputs; ++k) sum += feature[k] * in[k];
        for (int32_t k = 1; k < p->memory; ++k) state[k - 1] = state[k];
        state[p->memory - 1] = sum;
        for (int32_t k = 0; k < p->memory; ++k) weighed += time[k] * state[k];
        total += weighed;
      }
      *out++ = edgeq_clampf(total + p->bias[u], p->act_min, p->act_max);
    }
  }
}
