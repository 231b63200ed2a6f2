/* edgeq_dsp_mat_vec_paired_exact: see mat_vec_paired_dsp.inc; requantization rounds twice, as in
 * mat_mul_paired_exact_dsp.S. A record is the multiplier, half a unit of the right shift with the zero point
 * shifted into place, and the shift, which isn't 0: 9 cycles a row. */
#define MAT_VEC edgeq_dsp_mat_vec_paired_exact

  .macro twice_rounded sum
  ldm r1!, {r2, r3, r12}
  smmlar lr, \sum, r2, r3
  sub lr, lr, \sum, lsr #31
  asr lr, lr, r12
  ssat \sum, #8, lr
  .endm

  .macro requantize even, odd
  lsl \even, \even, #1
  twice_rounded \even
  asr \odd, \odd, #7
  twice_rounded \odd
  .endm

#include "kernels/mat_vec_paired_dsp.inc"
