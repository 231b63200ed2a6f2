#include "kernels/edgeq_f32.h"

void edgeq_cumsum_f32(const edgeq_cumsum_params *p, const float *in, float *out) {
  for (int32_t o = 0; o < p->outer; ++o, in += p->axis * p->inner, out += p->axis * p->inner) {
    for (int32_t i = 0; i < p->inner; ++i) {
      float sum = 0.0f;
      for (int32_t a = 0; a < p->axis; ++a) {
        const int32_t at = (p->reverse ? p->axis - 1 - a : a) * p->inner + i;
        const float value = in[at];
        out[at] = p->exclusive ? sum : sum + value;
        sum = sum + value;
      }
    }
  }
}
