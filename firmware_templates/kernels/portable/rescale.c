#include "kernels/edgeq_kernels.h"

/* From one quantization to another, with a clamp: QUANTIZE between integers, RELU, RELU6. */
static inline int32_t rescale(const edgeq_rescale_params *p, int32_t value) {
  const int32_t scaled = edgeq_requantize(value - p->in_zero, p->scale);
  return edgeq_clamp(edgeq_wrapping_add(scaled, p->out_zero), p->act_min, p->act_max);
}

void edgeq_rescale_s8(const edgeq_rescale_params *p, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int8_t)rescale(p, in[i]);
}

void edgeq_rescale_u8_s8(const edgeq_rescale_params *p, const uint8_t *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int8_t)rescale(p, in[i]);
}

void edgeq_rescale_s8_u8(const edgeq_rescale_params *p, const int8_t *in, uint8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (uint8_t)rescale(p, in[i]);
}

void edgeq_clamp_s8(const edgeq_rescale_params *p, const int8_t *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int8_t)edgeq_clamp(in[i], p->act_min, p->act_max);
}
