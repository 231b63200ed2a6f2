#include "kernels/edgeq_reduce.h"

void edgeq_cumsum_s32(const edgeq_cumsum_params *p, const int32_t *in, int32_t *out) {
  for (int32_t o = 0; o < p->outer; ++o, in += p->axis * p->inner, out += p->axis * p->inner) {
    for (int32_t i = 0; i < p->inner; ++i) {
      int32_t sum = 0;
      for (int32_t a = 0; a < p->axis; ++a) {
        const int32_t at = (p->reverse ? p->axis - 1 - a : a) * p->inner + i, value = in[at];
        out[at] = p->exclusive ? sum : edgeq_wrapping_add(sum, value);
        sum = edgeq_wrapping_add(sum, value);
      }
    }
  }
}
