#include "kernels/edgeq_s16.h"

static inline int32_t rescale(const edgeq_rescale_params *p, int32_t value) {
  const int32_t centred = (int32_t)((uint32_t)value - (uint32_t)p->in_zero);
  const int32_t scaled = edgeq_requantize(centred, p->scale);
  return edgeq_clamp(edgeq_wrapping_add(scaled, p->out_zero), p->act_min, p->act_max);
}

void edgeq_rescale_s16_s32(const edgeq_rescale_params *p, const int16_t *in, int32_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = rescale(p, in[i]);
}

void edgeq_rescale_s32_s16(const edgeq_rescale_params *p, const int32_t *in, int16_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int16_t)rescale(p, in[i]);
}

void edgeq_rescale_s32_s8(const edgeq_rescale_params *p, const int32_t *in, int8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = (int8_t)rescale(p, in[i]);
}
