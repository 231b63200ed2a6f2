/* edgeq_dsp_mat_vec: int8 rows times one int16 column, eight rows at a time, what remains two at a time.
 *
 * One pair of inputs for eight rows, 16 MACs in 23 cycles on a Cortex-M4: LDR x w w' (4), for each weight word
 * SXTB16 twice and SMLAD twice (4 x 4 = 16), LDR w w' (3). Weights stream from flash once, so that the
 * flash's own speed is the next bound.
 *
 * Registers: r0 column, r1 weights, r2 x, r3 and lr weight words, r12 widened, r4-r11 the sums of rows 0..7.
 */
  .syntax unified
  .thumb
  .text

#define ROWS_COLUMN 0
#define ROWS_WEIGHTS 4
#define ROWS_BIAS 8
#define ROWS_SCALES 12
#define ROWS_OUT 16
#define ROWS_SCALE_STEP 20
#define ROWS_PAIRS 24
#define ROWS_ROWS 28
#define ROWS_ACT_MIN 32
#define ROWS_ACT_MAX 36

#define F_COLUMN 0
#define F_END 4
#define F_BIAS 8
#define F_SCALES 12
#define F_OUT 16
#define F_STEP 20
#define F_ROWS 24
#define F_ACT_MIN 28
#define F_ACT_MAX 32
#define F_WEIGHTS 36
#define FRAME 40

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

  /* One sum to one byte. r0 scales, r1 step, r2 output; r3, r12, lr free. */
  .macro finish acc
  ldr.w r3, [r0]
  ldr.w r12, [r0, #8]
  ldr.w lr, [r0, #4]
  add.w r0, r0, r1
  lsl.w \acc, \acc, r12
  smmulr \acc, \acc, r3
  ubfx r3, r12, #8, #8
  tst.w r12, #0x10000
  bne 1f
  add.w \acc, \acc, \acc, asr #31
  add.w \acc, \acc, lr
  asr.w \acc, \acc, r3
  ssat \acc, #8, \acc
  b 2f
1:
  cmp.w r3, #0
  it ne
  addne.w \acc, \acc, \acc, asr #31
  add.w \acc, \acc, lr
  asr.w \acc, \acc, r3
  ldr.w r12, [sp, #F_ACT_MIN]
  ldr.w lr, [sp, #F_ACT_MAX]
  cmp.w \acc, r12
  it lt
  movlt.w \acc, r12
  cmp.w \acc, lr
  it gt
  movgt.w \acc, lr
2:
  strb.w \acc, [r2], #1
  .endm

  .section .text.edgeq_dsp_mat_vec, "ax", %progbits
  .global edgeq_dsp_mat_vec
  .type edgeq_dsp_mat_vec, %function
  .thumb_func
  .align 3
edgeq_dsp_mat_vec:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  ldr r1, [r0, #ROWS_WEIGHTS]
  ldr r2, [r0, #ROWS_BIAS]
  ldr r3, [r0, #ROWS_SCALES]
  str r2, [sp, #F_BIAS]
  str r3, [sp, #F_SCALES]
  ldr r2, [r0, #ROWS_OUT]
  ldr r3, [r0, #ROWS_SCALE_STEP]
  str r2, [sp, #F_OUT]
  str r3, [sp, #F_STEP]
  ldr r2, [r0, #ROWS_ACT_MIN]
  ldr r3, [r0, #ROWS_ACT_MAX]
  str r2, [sp, #F_ACT_MIN]
  str r3, [sp, #F_ACT_MAX]
  ldr r2, [r0, #ROWS_PAIRS]
  ldr r3, [r0, #ROWS_COLUMN]
  str r3, [sp, #F_COLUMN]
  add r2, r3, r2, lsl #2
  str r2, [sp, #F_END]
  ldr r2, [r0, #ROWS_ROWS]
  str r2, [sp, #F_ROWS]
  b .Lmat_vec_next

.Lmat_vec_eight:
  ldr r2, [sp, #F_BIAS]
  ldmia r2!, {r4-r11}
  str r2, [sp, #F_BIAS]
  ldr r0, [sp, #F_COLUMN]
  .align 3
.Lmat_vec_eight_pairs:
  pair_of_8 0
  pair_of_8 1
  ldr r2, [sp, #F_END]
  adds r0, #8
  adds r1, #32
  cmp r0, r2
  bne .Lmat_vec_eight_pairs
  str r1, [sp, #F_WEIGHTS]
  ldr r0, [sp, #F_SCALES]
  ldr r1, [sp, #F_STEP]
  ldr r2, [sp, #F_OUT]
  finish r4
  finish r5
  finish r6
  finish r7
  finish r8
  finish r9
  finish r10
  finish r11
  str r0, [sp, #F_SCALES]
  str r2, [sp, #F_OUT]
  ldr r1, [sp, #F_WEIGHTS]
  ldr r2, [sp, #F_ROWS]
  subs r2, #8
  str r2, [sp, #F_ROWS]
.Lmat_vec_next:
  cmp r2, #8
  bge .Lmat_vec_eight
  cmp r2, #0
  ble .Lmat_vec_done

.Lmat_vec_two:
  ldr r2, [sp, #F_BIAS]
  ldrd r4, r5, [r2], #8
  str r2, [sp, #F_BIAS]
  ldr r0, [sp, #F_COLUMN]
  ldr r6, [sp, #F_END]
.Lmat_vec_two_pairs:
  pair_of_2 0
  pair_of_2 1
  adds r0, #8
  adds r1, #8
  cmp r0, r6
  bne .Lmat_vec_two_pairs
  str r1, [sp, #F_WEIGHTS]
  ldr r0, [sp, #F_SCALES]
  ldr r1, [sp, #F_STEP]
  ldr r2, [sp, #F_OUT]
  finish r4
  ldr r6, [sp, #F_ROWS]
  cmp r6, #1
  beq .Lmat_vec_done                /* an odd number of rows: the second of the last two is not there */
  finish r5
  str r0, [sp, #F_SCALES]
  str r2, [sp, #F_OUT]
  ldr r1, [sp, #F_WEIGHTS]
  subs r6, #2
  str r6, [sp, #F_ROWS]
  bne .Lmat_vec_two
.Lmat_vec_done:
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeq_dsp_mat_vec, . - edgeq_dsp_mat_vec
