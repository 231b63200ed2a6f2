/* edgeq_dsp_mat_vec_paired_affine: see mat_vec_paired_dsp.inc; requantization is one affine step per row
 * (edgeq/kernels/requantize.py). A record is M and the constant's two words: 6 cycles a row, 7 for odd ones. */
#define MAT_VEC edgeq_dsp_mat_vec_paired_affine

  .macro requantize even, odd
  ldm r1!, {r2, r3, r12}
  smlal r3, r12, \even, r2
  ssat \even, #8, r12, asr #2
  ldm r1!, {r2, r3, r12}
  smlal r3, r12, \odd, r2
  ssat \odd, #8, r12, asr #10
  .endm

#include "kernels/mat_vec_paired_dsp.inc"
