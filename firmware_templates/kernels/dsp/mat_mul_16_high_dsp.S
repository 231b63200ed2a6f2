/* edgeq_dsp_mat_mul_16_high: 16 inputs; see mat_mul_short_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_16_high
#define PAIRS 8
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_short_dsp.inc"
