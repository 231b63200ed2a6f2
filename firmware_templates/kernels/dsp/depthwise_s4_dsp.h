/* Depthwise convolutions with int4 weights: unpacked into scratch, then the int8 kernel. */
#ifndef EDGEQ_DEPTHWISE_S4_DSP_H
#define EDGEQ_DEPTHWISE_S4_DSP_H

#include "kernels/edgeq_dsp.h"

/* The parameters with weights unpacked at the start of `scratch`, which moves behind them. */
static inline edgeq_dsp_conv_params edgeq_depthwise_unpacked(const edgeq_dsp_conv_params *p, void **scratch) {
  int8_t *to = *scratch;
  for (int32_t i = 0; i < p->unpacked; ++i) to[i] = (int8_t)edgeq_weight_s4(p->weights, i);
  *scratch = to + (p->unpacked + 3) / 4 * 4;
  edgeq_dsp_conv_params unpacked = *p;
  unpacked.weights = to;
  return unpacked;
}

#endif
