/* edgeq_dsp_mat_mul_rgb_1_exact: stride 1; see mat_mul_rgb_dsp.inc and finish_exact_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_rgb_1_exact
#define PITCH 8
#include "kernels/finish_exact_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_rgb_dsp.inc"
