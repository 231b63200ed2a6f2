#include "kernels/edgeq_mve.h"

/* scratch: [EDGEQ_MVE_CHUNK] int32. */
void edgeq_fully_connected_s8_mve(const edgeq_mve_fully_connected_params *p, const int8_t *in, int8_t *out,
                                  void *scratch) {
  for (int32_t row = 0; row < p->rows; ++row) edgeq_mve_vector(p, in + row * p->depth, out + row * p->outputs, scratch);
}
