#include "kernels/edgeq_kernels.h"

/* round(x / scale) + zero, ties away from zero as std::round; NaN becomes the lowest value. */
void edgeq_quantize_f32_s8(const edgeq_affine_params *p, const float *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) {
    const float scaled = in[i] / p->scale;
    int32_t value = INT8_MIN;
    if (scaled >= 1024.0f) {
      value = INT8_MAX;
    } else if (scaled > -1024.0f) {
      /* The fraction is exact: |scaled| < 2^10 leaves 13 bits behind the point. */
      const int32_t whole = (int32_t)scaled;
      const float fraction = scaled - (float)whole;
      value = whole + (fraction >= 0.5f ? 1 : 0) - (fraction <= -0.5f ? 1 : 0) + p->zero;
    }
    out[i] = (int8_t)edgeq_clamp(value, INT8_MIN, INT8_MAX);
  }
}

void edgeq_dequantize_s8_f32(const edgeq_affine_params *p, const int8_t *in, float *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = p->scale * (float)(in[i] - p->zero);
}
