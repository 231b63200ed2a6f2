#include "kernels/edgeq_reduce.h"

/* The k largest of each row, largest first; of equal ones the first. Each element is sorted in from behind. */
void edgeq_topk_s8(const edgeq_topk_params *p, const int8_t *in, int8_t *values, int32_t *indices) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, values += p->k, indices += p->k) {
    int32_t kept = 0;
    for (int32_t i = 0; i < p->depth; ++i) {
      if (kept == p->k && !(in[i] > values[kept - 1])) continue;
      int32_t at = kept < p->k ? kept++ : kept - 1;
      for (; at > 0 && in[i] > values[at - 1]; --at) {
        values[at] = values[at - 1];
        indices[at] = indices[at - 1];
      }
      values[at] = in[i];
      indices[at] = i;
    }
  }
}
