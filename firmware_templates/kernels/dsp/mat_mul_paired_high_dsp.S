/* edgeq_dsp_mat_mul_paired_high: see mat_mul_paired_dsp.inc and finish_high_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_paired_high
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_paired_dsp.inc"
