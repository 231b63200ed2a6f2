#include "kernels/edgeq_kernels.h"

void edgeq_fully_connected_computed_s8(const edgeq_fully_connected_params *p, const int8_t *in, const int8_t *weights,
                                       int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth) {
    const int8_t *weight = weights;
    const edgeq_scale *scale = p->scales;
    for (int32_t c = 0; c < p->outputs; ++c, weight += p->depth, scale += p->scale_step) {
      int32_t sum = p->bias ? p->bias[c] : 0;
      for (int32_t k = 0; k < p->depth; ++k) {
        sum = edgeq_wrapping_add(sum, (in[k] - p->in_zero) * (weight[k] - p->weights_zero));
      }
      sum = edgeq_wrapping_add(edgeq_requantize(sum, *scale), p->out_zero);
      *out++ = (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
    }
  }
}

void edgeq_fully_connected_s8(const edgeq_fully_connected_params *p, const int8_t *in, int8_t *out) {
  edgeq_fully_connected_computed_s8(p, in, p->weights, out);
}
