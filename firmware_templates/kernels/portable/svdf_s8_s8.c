#include "kernels/edgeq_recurrent.h"

/* Each filter's memory moves on by one, takes in its feature of the input, and is weighed over time; a unit is the sum
 * of its rank filters. */
void edgeq_svdf_s8_s8(const edgeq_svdf_params *p, const int8_t *in, int8_t *state, int8_t *out) {
  for (int32_t n = 0; n < p->batches; ++n, in += p->inputs) {
    const int8_t *feature = p->features;
    const int16_t *time = p->times;
    for (int32_t u = 0; u < p->units; ++u) {
      int32_t total = p->bias[u];
      for (int32_t r = 0; r < p->rank; ++r, feature += p->inputs, time += p->memory, state += p->memory) {
        int32_t sum = 0;
        for (int32_t k = 0; k < p->inputs; ++k) {
          sum = edgeq_wrapping_add(sum, feature[k] * (in[k] - p->in_zero));
        }
        sum = edgeq_clamp(edgeq_requantize(sum, p->feature_scale), INT8_MIN, INT8_MAX);
        for (int32_t k = 1; k < p->memory; ++k) state[k - 1] = state[k];
        state[p->memory - 1] = (int8_t)(p->state_zero + sum);
        for (int32_t k = 0; k < p->memory; ++k) {
          total = edgeq_wrapping_add(total, time[k] * (state[k] - p->state_zero));
        }
      }
      const int32_t scaled = edgeq_wrapping_add(edgeq_requantize(total, p->time_scale), p->out_zero);
      *out++ = (int8_t)edgeq_clamp(scaled, INT8_MIN, INT8_MAX);
    }
  }
}
