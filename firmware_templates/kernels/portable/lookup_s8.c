#include "kernels/edgeq_unary.h"

void edgeq_lookup_s8(const edgeq_lookup_s8_params *p, const int8_t *in, int8_t *out) {
  const int8_t *middle = p->table + 128;
  for (int32_t i = 0; i < p->count; ++i) out[i] = middle[in[i]];
}
