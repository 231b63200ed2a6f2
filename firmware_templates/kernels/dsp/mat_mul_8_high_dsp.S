/* edgeq_dsp_mat_mul_8_high: 8 inputs; see mat_mul_short_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_8_high
#define PAIRS 4
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_short_dsp.inc"
