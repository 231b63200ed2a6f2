#include "kernels/edgeq_s16.h"

static inline int32_t rescale(const edgeq_rescale_params *p, int32_t value) {
  const int32_t scaled = edgeq_requantize(value - p->in_zero, p->scale);
  return edgeq_clamp(edgeq_wrapping_add(scaled, p->out_zero), p->act_min, p->act_max);
}

void edgeq_rescale_s16(const edgeq_rescale_params *p, const int16_t *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int16_t)rescale(p, in[i]);
}

void edgeq_rescale_s8_s16(const edgeq_rescale_params *p, const int8_t *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int16_t)rescale(p, in[i]);
}

void edgeq_rescale_u8_s16(const edgeq_rescale_params *p, const uint8_t *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int16_t)rescale(p, in[i]);
}

void edgeq_rescale_s16_s8(const edgeq_rescale_params *p, const int16_t *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int8_t)rescale(p, in[i]);
}
