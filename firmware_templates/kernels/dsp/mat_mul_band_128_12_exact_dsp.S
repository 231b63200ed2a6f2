/* edgeq_dsp_mat_mul_band_128_12_exact: see mat_mul_band_dsp.inc and finish_exact_dsp.inc. */
#include "kernels/finish_exact_dsp.inc"
#include "kernels/paired_dsp.inc"
#include "kernels/mat_mul_band_dsp.inc"

  band_product edgeq_dsp_mat_mul_band_128_12_exact, 128, 12
