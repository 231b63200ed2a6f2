/* edgeq_dsp_mat_mul_band_32_affine: see mat_mul_band_dsp.inc and finish_affine_dsp.inc. */
#include "kernels/finish_affine_dsp.inc"
#include "kernels/mat_mul_band_dsp.inc"

  band_product edgeq_dsp_mat_mul_band_32_affine, 32
