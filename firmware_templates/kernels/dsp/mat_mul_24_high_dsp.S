/* edgeq_dsp_mat_mul_24_high: 24 inputs; see mat_mul_short_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_24_high
#define PAIRS 12
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_short_dsp.inc"
