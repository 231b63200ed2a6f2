#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

#define AND(p, a, b) ((a) && (b))
#define OR(p, a, b) ((a) || (b))

EDGEQ_BROADCAST(edgeq_logical_and, edgeq_integer_params, uint8_t, uint8_t, AND)
EDGEQ_BROADCAST(edgeq_logical_or, edgeq_integer_params, uint8_t, uint8_t, OR)

void edgeq_logical_not(const edgeq_not_params *p, const uint8_t *in, uint8_t *out) {
  for (int32_t i = 0; i < p->count; ++i) out[i] = !in[i];
}
