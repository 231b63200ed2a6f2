/* edgeq_dsp_depthwise_relu_1_16_by_32: see depthwise_relu_dsp.inc. */
#define ROWS edgeq_dsp_depthwise_relu_1_16_by_32
#define STRIDE 1
#define PITCH 16
#define TURN 6
#define OUT_STEP 32
#include "kernels/depthwise_relu_dsp.inc"
