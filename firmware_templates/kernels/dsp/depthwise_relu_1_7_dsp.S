/* edgeq_dsp_depthwise_relu_1_7: see depthwise_relu_dsp.inc. */
#define ROWS edgeq_dsp_depthwise_relu_1_7
#define STRIDE 1
#define PITCH 7
#define TURN 4
#include "kernels/depthwise_relu_dsp.inc"
