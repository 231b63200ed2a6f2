/* One row of outputs of a 3x3 depthwise convolution, for four channels whose three input rows are int16.
 *
 * With words w0 = (x0, x1) and w1 = (x2, x3) of a row, and weights packed as (k0, k1) and (k1, k2):
 *     stride 1, two outputs:   o0 += w0 . (k0, k1) + x2 * k2        SMLAD, SMLABT
 *                              o1 += x1 * k0 + w1 . (k1, k2)        SMLATB, SMLAD
 *     stride 2, two outputs:   o0 += w0 . (k0, k1) + x2 * k2        SMLAD, SMLABT
 *                              o1 += w1 . (k0, k1) + x4 * k2        SMLAD, SMLABT
 * so that nothing is ever shifted or repacked: 53 cycles for two outputs (18 MACs) on a Cortex-M4 at stride 1,
 * of which 12 multiply, 14 load inputs, 20 bring the sums to bytes.
 *
 * Registers: r0-r2 rows, r3-r8 weights, r9 r10 inputs, r11 r12 sums, lr output.
 */
  .syntax unified
  .thumb
  .text

/* struct edgeq_dsp_row */
#define ROW_OUT 12

/* the frame: the row's own words from ROW_OUT on, then the channel's from its bias on, then what counts */
#define F_OUT 0
#define F_CHANNELS 4
#define F_STEP 8
#define F_COUNT 12
#define F_ROW_BYTES 16
#define F_BIAS 20
#define F_MULTIPLIER 24
#define F_ROUND 28
#define F_RIGHT 32
#define F_LEFT 36       /* outputs still to do in this channel's row */
#define F_ROWS 40       /* three pointers */
#define F_TODO 52       /* channels */
#define FRAME 56

  .macro stride_1 row, k01, k12
  ldr.w r9, [\row]
  ldr.w r10, [\row, #4]
  smlad r11, r9, \k01, r11
  smlatb r12, r9, \k01, r12
  smlabt r11, r10, \k12, r11
  smlad r12, r10, \k12, r12
  .endm

  .macro stride_2 row, k01, k12
  ldr.w r9, [\row]
  ldr.w r10, [\row, #4]
  smlad r11, r9, \k01, r11
  smlabt r11, r10, \k12, r11
  ldr.w r9, [\row, #8]
  smlad r12, r10, \k01, r12
  smlabt r12, r9, \k12, r12
  .endm

  .macro rows_of_outputs name, step, advance
  .section .text.\name, "ax", %progbits
  .global \name
  .type \name, %function
  .thumb_func
  .align 3
\name:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  add r1, r0, #ROW_OUT
  ldm r1, {r2-r6}
  stm sp, {r2-r6}
  ldm r0, {r0-r2}
  movs r3, #4
  str r3, [sp, #F_TODO]
3:
  add r4, sp, #F_ROWS
  stm r4, {r0-r2}
  ldr r3, [sp, #F_CHANNELS]
  add r4, r3, #24
  ldm r4, {r5-r8}
  add r4, sp, #F_BIAS
  stm r4, {r5-r8}
  ldr r4, [sp, #F_COUNT]
  ldr lr, [sp, #F_OUT]
  str r4, [sp, #F_LEFT]
  ldm r3, {r3-r8}
1:
  ldr.w r11, [sp, #F_BIAS]
  mov r12, r11
  \step r0, r3, r4
  \step r1, r5, r6
  \step r2, r7, r8
  ldr.w r9, [sp, #F_MULTIPLIER]
  ldr.w r10, [sp, #F_ROUND]
  adds r0, #\advance
  adds r1, #\advance
  adds r2, #\advance
  lsl.w r11, r11, #1
  lsl.w r12, r12, #1
  smmulr r11, r11, r9
  smmulr r12, r12, r9
  ldr.w r9, [sp, #F_RIGHT]
  add.w r11, r11, r11, asr #31
  add.w r12, r12, r12, asr #31
  add.w r11, r11, r10
  add.w r12, r12, r10
  asr.w r11, r11, r9
  asr.w r12, r12, r9
  ldr.w r9, [sp, #F_LEFT]
  ldr.w r10, [sp, #F_STEP]
  ssat r11, #8, r11
  ssat r12, #8, r12
  subs.w r9, r9, #2
  strb.w r11, [lr]
  bmi 2f                            /* an odd number of outputs: the second of the last two is not there */
  strb.w r12, [lr, r10]
  add.w lr, lr, r10, lsl #1
  str.w r9, [sp, #F_LEFT]
  bne 1b
2:
  ldr r9, [sp, #F_TODO]
  ldr r4, [sp, #F_ROW_BYTES]
  subs.w r9, r9, #1
  beq 4f
  add r3, sp, #F_ROWS
  ldm r3, {r0-r2}
  ldr r5, [sp, #F_OUT]
  ldr r6, [sp, #F_CHANNELS]
  str.w r9, [sp, #F_TODO]
  add r0, r4
  add r1, r4
  add r2, r4
  adds r5, #1
  adds r6, #40
  str r5, [sp, #F_OUT]
  str r6, [sp, #F_CHANNELS]
  b 3b
4:
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size \name, . - \name
  .endm

  rows_of_outputs edgeq_dsp_depthwise_3x3_row_1, stride_1, 4
  rows_of_outputs edgeq_dsp_depthwise_3x3_row_2, stride_2, 8
