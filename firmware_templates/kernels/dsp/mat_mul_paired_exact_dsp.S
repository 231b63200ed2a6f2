/* edgeq_dsp_mat_mul_paired_exact: see mat_mul_paired_dsp.inc and finish_exact_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_paired_exact
#include "kernels/finish_exact_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_paired_dsp.inc"
