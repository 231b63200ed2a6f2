/* edgeq_dsp_depthwise_relu_1_7_by_8: see depthwise_relu_dsp.inc. */
#define ROWS edgeq_dsp_depthwise_relu_1_7_by_8
#define STRIDE 1
#define PITCH 7
#define TURN 6
#define OUT_STEP 8
#include "kernels/depthwise_relu_dsp.inc"
