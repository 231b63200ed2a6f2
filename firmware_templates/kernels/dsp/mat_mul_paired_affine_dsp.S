/* edgeq_dsp_mat_mul_paired_affine: see mat_mul_paired_dsp.inc and finish_affine_dsp.inc. */
#define MAT_MUL edgeq_dsp_mat_mul_paired_affine
#include "kernels/finish_affine_dsp.inc"
#include "kernels/mat_mul_paired_dsp.inc"
