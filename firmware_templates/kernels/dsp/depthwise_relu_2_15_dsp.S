/* edgeq_dsp_depthwise_relu_2_15: see depthwise_relu_dsp.inc. */
#define ROWS edgeq_dsp_depthwise_relu_2_15
#define STRIDE 2
#define PITCH 15
#define TURN 6
#include "kernels/depthwise_relu_dsp.inc"
