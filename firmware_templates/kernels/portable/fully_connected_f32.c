#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

void edgeq_fully_connected_computed_f32(const edgeq_fully_connected_f32_params *p, const float *in,
                                        const float *weights, float *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth) {
    const float *weight = weights;
    for (int32_t c = 0; c < p->outputs; ++c, weight += p->depth) {
      float sum = 0.0f;
      for (int32_t k = 0; k < p->depth; ++k) sum += in[k] * weight[k];
      *out++ = edgeq_clampf(sum + p->bias[c], p->act_min, p->act_max);
    }
  }
}

void edgeq_fully_connected_f32(const edgeq_fully_connected_f32_params *p, const float *in, float *out) {
  edgeq_fully_connected_computed_f32(p, in, p->weights, out);
}
