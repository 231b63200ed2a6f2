#include "kernels/edgeq_s16.h"

/* round(x / scale) + zero, ties away from zero as std::round; NaN becomes the lowest value. */
void edgeq_quantize_f32_s16(const edgeq_affine_params *p, const float *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) {
    const float scaled = in[i] / p->scale;
    int32_t value = INT16_MIN;
    if (scaled >= 131072.0f) {
      value = INT16_MAX;
    } else if (scaled > -131072.0f) {
      /* The fraction is exact: |scaled| < 2^17 leaves 6 bits behind the point. */
      const int32_t whole = (int32_t)scaled;
      const float fraction = scaled - (float)whole;
      value = whole + (fraction >= 0.5f ? 1 : 0) - (fraction <= -0.5f ? 1 : 0) + p->zero;
    }
    out[i] = (int16_t)edgeq_clamp(value, INT16_MIN, INT16_MAX);
  }
}

void edgeq_dequantize_s16_f32(const edgeq_affine_params *p, const int16_t *in, float *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = p->scale * (float)(in[i] - p->zero);
}
