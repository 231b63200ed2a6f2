#include "kernels/edgeq_s16.h"

void edgeq_fully_connected_s16(const edgeq_fully_connected_s16_params *p, const int16_t *in, int16_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth) {
    const int8_t *weights = p->weights;
    for (int32_t c = 0; c < p->outputs; ++c, weights += p->depth) {
      int64_t sum = 0;
      for (int32_t k = 0; k < p->depth; ++k) sum += in[k] * (weights[k] - p->weights_zero);
      const int32_t scaled = edgeq_scaled_sum(sum, p->bias[c], p->scales[c * p->scale_step], p->narrow);
      *out++ = (int16_t)edgeq_clamp(scaled, p->act_min, p->act_max);
    }
  }
}
