#include "kernels/depthwise_s4_dsp.h"

void edgeq_depthwise_conv_2d_s4_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_dsp_conv_params unpacked = edgeq_depthwise_unpacked(p, &scratch);
  edgeq_depthwise_conv_2d_s8_dsp(&unpacked, in, out, scratch);
}
