/* edgeq_dsp_mat_vec: int8 rows times one int16 column, eight rows at a time, what remains two at a time (see
 * mat_vec_dsp.inc).
 *
 * One pair of inputs for eight rows, 16 MACs in 23 cycles on a Cortex-M4: LDR x w w' (4), for each weight word
 * SXTB16 twice and SMLAD twice (4 x 4 = 16), LDR w w' (3). Weights stream from flash once, so that the
 * flash's own speed is the next bound.
 *
 * Registers: r0 column, r1 weights, r2 x, r3 and lr weight words, r12 widened, r4-r11 the sums of rows 0..7.
 */
#define MAT_VEC edgeq_dsp_mat_vec
#define TO_MULTIPLY lsl.w
#define WEIGHT_BYTES 4

  .macro two_rows word, acc0, acc1
  sxtb16 r12, \word
  sxtb16 \word, \word, ror #8
  smlad \acc0, r2, r12, \acc0
  smlad \acc1, r2, \word, \acc1
  .endm

  .macro pair_of_8 k
  ldr.w r2, [r0, #(4 * \k)]
  ldr.w r3, [r1, #(16 * \k)]
  ldr.w lr, [r1, #(16 * \k + 4)]
  two_rows r3, r4, r5
  two_rows lr, r6, r7
  ldr.w r3, [r1, #(16 * \k + 8)]
  ldr.w lr, [r1, #(16 * \k + 12)]
  two_rows r3, r8, r9
  two_rows lr, r10, r11
  .endm

  .macro pair_of_2 k
  ldr.w r2, [r0, #(4 * \k)]
  ldr.w r3, [r1, #(4 * \k)]
  two_rows r3, r4, r5
  .endm

  .macro two_pairs_of_8
  pair_of_8 0
  pair_of_8 1
  .endm

  .macro two_pairs_of_2
  pair_of_2 0
  pair_of_2 1
  .endm

#include "kernels/mat_vec_dsp.inc"
