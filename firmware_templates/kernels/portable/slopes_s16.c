#include "kernels/edgeq_unary.h"

void edgeq_slopes_s16(const edgeq_slopes_params *p, const int16_t *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) {
    const int32_t x = in[i], value = x < 0 && p->negate ? -x : x;
    const int32_t scaled = edgeq_requantize(value, x < 0 ? p->negative : p->positive);
    out[i] = (int16_t)edgeq_clamp(scaled, INT16_MIN, INT16_MAX);
  }
}
