/* edgeq_dsp_mat_vec_s4: int4 rows, packed, times one int16 column: mat_vec_s8_dsp.S for half the bytes.
 *
 * Of eight rows, a word holds four rows' weights for one pair of inputs: rows 0 and 1 in the high halves of its bytes,
 * rows 2 and 3 in the low halves. 16 MACs in 27 cycles on a Cortex-M4 (int8: 23), but half as many words come from
 * the flash. What remains of the rows lies as for mat_mul_s4_dsp.S: two rows and two pairs in a word.
 *
 * Registers: r0 column, r1 weights, r2 x, lr weight word, r3 and r12 widened, r4-r11 the sums of rows 0..7.
 */
#define MAT_VEC edgeq_dsp_mat_vec_s4
#define TO_MULTIPLY asr.w
#define WEIGHT_BYTES 2

  /* lr holds the word; x for the high halves, then x for the low halves. */
  .macro both_halves x0, acc0, acc1, x1, acc2, acc3
  and r12, lr, #0xF0F0F0F0
  lsl.w lr, lr, #4
  sxtb16 r3, r12
  sxtb16 r12, r12, ror #8
  and lr, lr, #0xF0F0F0F0
  smlad \acc0, \x0, r3, \acc0
  smlad \acc1, \x0, r12, \acc1
  sxtb16 r12, lr
  sxtb16 lr, lr, ror #8
  smlad \acc2, \x1, r12, \acc2
  smlad \acc3, \x1, lr, \acc3
  .endm

  .macro pair_of_8 k
  ldr.w r2, [r0, #(4 * \k)]
  ldr.w lr, [r1, #(8 * \k)]
  both_halves r2, r4, r5, r2, r6, r7
  ldr.w lr, [r1, #(8 * \k + 4)]
  both_halves r2, r8, r9, r2, r10, r11
  .endm

  .macro two_pairs_of_8
  pair_of_8 0
  pair_of_8 1
  .endm

  .macro two_pairs_of_2
  ldr.w r2, [r0]
  ldr.w r7, [r0, #4]
  ldr.w lr, [r1]
  both_halves r2, r4, r5, r7, r4, r5
  .endm

#include "kernels/mat_vec_dsp.inc"
