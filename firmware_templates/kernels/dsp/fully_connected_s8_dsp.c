#include <string.h>

#include "kernels/edgeq_dsp.h"

/* scratch: depth int16. */
void edgeq_fully_connected_s8_dsp(const edgeq_dsp_fully_connected_params *p, const int8_t *in, int8_t *out,
                                  void *scratch) {
  edgeq_dsp_rows rows = {
      .column = scratch,
      .weights = p->weights,
      .bias = p->bias,
      .scales = p->scales,
      .out = out,
      .scale_step = p->scale_step,
      .pairs = p->depth / 2,
      .rows = p->outputs,
      .act_min = p->act_min,
      .act_max = p->act_max,
  };
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth_used, rows.out += p->outputs) {
    uint32_t *to = scratch;
    int32_t k = 0;
    for (; k + 4 <= p->depth_used; k += 4, to += 2) {
      const uint32_t bytes = edgeq_load4(in + k);
      to[0] = (uint32_t)edgeq_sxtb16(bytes);
      to[1] = (uint32_t)edgeq_sxtb16_ror8(bytes);
    }
    if (k < p->depth_used) {
      int8_t rest[4] = {0, 0, 0, 0};
      memcpy(rest, in + k, (size_t)(p->depth_used - k));
      const uint32_t bytes = edgeq_load4(rest);
      to[0] = (uint32_t)edgeq_sxtb16(bytes);
      to[1] = (uint32_t)edgeq_sxtb16_ror8(bytes);
    }
    p->multiply(&rows);
  }
}
