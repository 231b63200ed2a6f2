#include "kernels/edgeq_kernels.h"

void edgeq_fully_connected_s4(const edgeq_fully_connected_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth) {
    int32_t weight = 0; /* the next weight's number: two of them in a byte */
    const edgeq_scale *scale = p->scales;
    for (int32_t c = 0; c < p->outputs; ++c, weight += p->depth, scale += p->scale_step) {
      int32_t sum = p->bias ? p->bias[c] : 0;
      for (int32_t k = 0; k < p->depth; ++k) {
        sum = edgeq_wrapping_add(sum, (in[k] - p->in_zero) * (edgeq_weight_s4(p->weights, weight + k) - p->weights_zero));
      }
      sum = edgeq_wrapping_add(edgeq_requantize(sum, *scale), p->out_zero);
      *out++ = (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
    }
  }
}
