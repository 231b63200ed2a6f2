#include "kernels/edgeq_fixed_point.h"
#include "kernels/edgeq_reduce.h"

/* At most 33025 elements a row: their squares' sum fits 31 bits. */
void edgeq_l2_normalization_s8(const edgeq_l2_normalization_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t sum = 0;
    for (int32_t c = 0; c < p->depth; ++c) sum += (in[c] - p->in_zero) * (in[c] - p->in_zero);
    edgeq_scale scale = edgeq_inverse_square_root(sum);
    scale.shift += 7; /* the output's steps are 1/128 */
    for (int32_t c = 0; c < p->depth; ++c) {
      out[c] = (int8_t)edgeq_clamp(edgeq_requantize(in[c] - p->in_zero, scale), INT8_MIN, INT8_MAX);
    }
  }
}
