/* edgeq_dsp_depthwise_relu_1_16: see depthwise_relu_dsp.inc. */
#define ROWS edgeq_dsp_depthwise_relu_1_16
#define STRIDE 1
#define PITCH 16
#define TURN 6
#include "kernels/depthwise_relu_dsp.inc"
