/* edgeq_dsp_mat_mul_rgb_1_high: stride 1; see mat_mul_rgb_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_rgb_1_high
#define PITCH 8
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_rgb_dsp.inc"
