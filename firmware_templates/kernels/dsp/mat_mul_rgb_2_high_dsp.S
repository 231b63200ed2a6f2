/* edgeq_dsp_mat_mul_rgb_2_high: stride 2; see mat_mul_rgb_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_rgb_2_high
#define PITCH 4
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_rgb_dsp.inc"
