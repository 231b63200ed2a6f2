#include "kernels/edgeq_s16.h"

/* Sums into `sums` (one int32 per output element), then scales by s_in / (s_out * count) in one step. */
void edgeq_mean_s16(const edgeq_mean_params *p, const int16_t *in, int16_t *out, int32_t *sums) {
  int32_t stride[6], outputs = 1;
  for (int32_t d = 5; d >= 0; --d) {
    stride[d] = p->reduce[d] ? 0 : outputs;
    if (!p->reduce[d]) outputs *= p->size[d];
  }
  for (int32_t i = 0; i < outputs; ++i) sums[i] = 0;
  const int32_t *n = p->size;
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            int32_t *sum = sums + (a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3] + e * stride[4]);
            for (int32_t f = 0; f < n[5]; ++f, sum += stride[5]) *sum += *in++;
          }
  for (int32_t i = 0; i < outputs; ++i) {
    const int32_t centred = sums[i] - p->in_zero * p->count;
    const int32_t mean = edgeq_wrapping_add(edgeq_requantize(centred, p->scale), p->out_zero);
    out[i] = (int16_t)edgeq_clamp(mean, INT16_MIN, INT16_MAX);
  }
}
