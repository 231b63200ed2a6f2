/* edgeq_dsp_mat_mul_band_32_8_high: see mat_mul_band_dsp.inc and finish_high_dsp.inc. */
#include "kernels/finish_high_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_band_dsp.inc"

  band_product edgeq_dsp_mat_mul_band_32_8_high, 32, 8
