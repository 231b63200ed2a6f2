/* 3x3 depthwise convolutions, four channels at a time, over a ring of input rows widened to int16.
 *
 * The ring: for each two neighbouring pixels of a row, for each of four channels, for each of three slots, a word
 * (x0, x1): 48 bytes a pair. A row stays in its slot; what moves round is which filter row meets it.
 *
 * One row of outputs: each word of the ring is loaded once, ends the sums of one step and starts those of the next.
 * With w = (x2, x3) and weights as (k0, k1) and (k1, k2), all 256 times what they stand for, bias folded in:
 *     stride 1, two outputs a step:   o0 += x2 * k2          SMLABT       n0 = w . (k0, k1) + bias    SMLAD
 *                                     o1 += w . (k1, k2)     SMLAD        n1 = x3 * k0 + bias         SMLATB
 *     stride 2, one output a step:    o0 += x2 * k2          SMLABT       n0 = w . (k0, k1) + bias    SMLAD
 * and an output is ssat8(smmul(o, multiplier) >> 8), see edgeq/kernels/high_word.py.
 *
 * Cycles on a Cortex-M4, two steps unrolled (sums change places):
 *     stride 1, two outputs:   loads 3 + 2 + 2 + 2, products 12, SMMUL 2, SSAT 2, count 2, STRB 2, UXTAH 2,
 *                              half a branch 1.5: 32.5
 *     stride 2, one output:    loads 3 + 3, products 6, SMMUL, SSAT 2, count 2, STRB, UXTAH 2, half a branch 1.5: 19.5
 *     widening, two pixels of four channels: loads 3, PKH 2, SXTB16 4, STR 4, pointer and count 2, branch 3: 18
 *
 * Registers: r0 ring, r1 output, r2 outputs left less one << 16 | bytes from output to output, r3-r8 weights by slot,
 * r9-r12 sums, lr input. Multiplier and bias are on the stack: a load behind a load costs what a move would.
 */
  .syntax unified
  .thumb

#define FRACTION 8

/* the frame */
#define F_MULTIPLIER 0
#define F_BIAS 4
#define F_RING 8
#define F_OUT 12
#define F_COUNT 16
#define F_WEIGHTS 20
#define F_TODO 24
#define FRAME 28
#define F_SCALES (FRAME + 36) /* the fifth argument */

  /* starts n0, n1 from the word in lr; n0 holds the bias or the sum so far */
  .macro start_1 n0, n1, was, k01
  smlatb \n1, lr, \k01, \was
  smlad \n0, lr, \k01, \n0
  .endm

  .macro end_1 o0, o1, k12
  smlabt \o0, lr, \k12, \o0
  smlad \o1, lr, \k12, \o1
  .endm

  /* two outputs; \last: where it goes when there are no more after them */
  .macro step_1 o0, o1, n0, n1, last
  ldr lr, [r0, #48]!
  ldr \n0, [sp, #F_BIAS]
  end_1 \o0, \o1, r4
  start_1 \n0, \n1, \n0, r3
  ldr lr, [r0, #4]
  end_1 \o0, \o1, r6
  start_1 \n0, \n1, \n1, r5
  ldr lr, [r0, #8]
  end_1 \o0, \o1, r8
  start_1 \n0, \n1, \n1, r7
  ldr lr, [sp, #F_MULTIPLIER]
  subs r2, r2, #0x20000
  smmul \o0, \o0, lr
  smmul \o1, \o1, lr
  ssat \o0, #8, \o0, asr #FRACTION
  ssat \o1, #8, \o1, asr #FRACTION
  bcc \last
  strb \o0, [r1]
  uxtah r1, r1, r2
  strb \o1, [r1]
  uxtah r1, r1, r2
  .endm

  .macro row_1
  ldr lr, [r0]
  ldr r9, [sp, #F_BIAS]
  start_1 r9, r10, r9, r3
  ldr lr, [r0, #4]
  start_1 r9, r10, r10, r5
  ldr lr, [r0, #8]
  start_1 r9, r10, r10, r7
1:
  step_1 r9, r10, r11, r12, 2f
  step_1 r11, r12, r9, r10, 3f
  b 1b
3:
  mov r9, r11
  mov r10, r12
2:
  lsls r3, r2, #16                   /* bit 16 is set: two outputs are left, not one */
  strb r9, [r1]
  bcc 4f
  uxtah r1, r1, r2
  strb r10, [r1]
4:
  .endm

  /* one output; r11 bias */
  .macro step_2 o, n
  ldr lr, [r0, #48]!
  ldr r12, [r0, #4]
  smlabt \o, lr, r4, \o
  smlad \n, lr, r3, r11
  smlabt \o, r12, r6, \o
  smlad \n, r12, r5, \n
  ldr lr, [r0, #8]
  ldr r12, [sp, #F_MULTIPLIER]
  smlabt \o, lr, r8, \o
  smlad \n, lr, r7, \n
  subs r2, r2, #0x10000
  smmul \o, \o, r12
  ssat \o, #8, \o, asr #FRACTION
  strb \o, [r1]
  uxtah r1, r1, r2
  .endm

  .macro row_2
  ldr r11, [sp, #F_BIAS]
  ldr lr, [r0]
  smlad r9, lr, r3, r11
  ldr lr, [r0, #4]
  smlad r9, lr, r5, r9
  ldr lr, [r0, #8]
  smlad r9, lr, r7, r9
1:
  step_2 r9, r10
  bcc 2f
  step_2 r10, r9
  bcs 1b
2:
  .endm

  /* void name(const int32_t *ring, int8_t *out, uint32_t count_and_step, const int32_t weights[4][10],
   *           const int32_t scales[4][2]) */
  .macro row_of_outputs name, row
  .section .text.\name, "ax", %progbits
  .global \name
  .type \name, %function
  .thumb_func
  .align 3
\name:
  push {r4-r11, lr}
  sub sp, #FRAME
  movs r4, #4
  str r4, [sp, #F_TODO]
  str r2, [sp, #F_COUNT]
  b 6f
5:
  ldr r0, [sp, #F_RING]
  ldr r1, [sp, #F_OUT]
  ldr r2, [sp, #F_COUNT]
  ldr r3, [sp, #F_WEIGHTS]
  adds r0, #12
  adds r1, #1
  adds r3, #40
6:
  str r0, [sp, #F_RING]
  str r1, [sp, #F_OUT]
  str r3, [sp, #F_WEIGHTS]
  ldr r4, [sp, #F_SCALES]
  ldm r4!, {r5, r6}
  str r4, [sp, #F_SCALES]
  str r5, [sp, #F_MULTIPLIER]
  str r6, [sp, #F_BIAS]
  ldm r3, {r3-r8}
  \row
  ldr r4, [sp, #F_TODO]
  subs r4, #1
  str r4, [sp, #F_TODO]
  bne 5b
  add sp, #FRAME
  pop {r4-r11, pc}
  .size \name, . - \name
  .endm

  row_of_outputs edgeq_dsp_depthwise_relu_row_1, row_1
  row_of_outputs edgeq_dsp_depthwise_relu_row_2, row_2

/* void edgeq_dsp_widen_row(const int8_t *in, int32_t *to, const edgeq_dsp_line *line)
 *
 * One input row of four channels into a slot of the ring: `pad` pixels of the zero point (0 or 1), the row's pixels,
 * the zero point up to `pairs`. in: NULL where the whole row is padding.
 *
 * Registers: r0 in, r1 to, r2 bytes from pixel to pixel, r3 pixels left, r4 pairs left, r6 the zero point four times,
 * r7 r8 two pixels.
 */
  .section .text.edgeq_dsp_widen_row, "ax", %progbits
  .global edgeq_dsp_widen_row
  .type edgeq_dsp_widen_row, %function
  .thumb_func
  .align 3

  .macro spread
  pkhbt r9, r7, r8, lsl #16          /* channels 0 and 1 of both */
  pkhtb r10, r8, r7, asr #16         /* channels 2 and 3 */
  sxtb16 r7, r9
  sxtb16 r8, r9, ror #8
  sxtb16 r9, r10
  sxtb16 r10, r10, ror #8
  str r8, [r1, #12]
  str r9, [r1, #24]
  str r10, [r1, #36]
  str r7, [r1], #48
  .endm

edgeq_dsp_widen_row:
  push {r4-r11, lr}
  ldm r2, {r2-r6}
  cbz r0, 4f
  cbz r5, 1f
  mov r7, r6
  ldr r8, [r0]
  add r0, r2
  subs r3, #1
  subs r4, #1
  bl 6f
1:
  sub r4, r4, r3, lsr #1
  subs r3, #2
  bmi 3f
2:
  ldr r7, [r0]
  ldr r8, [r0, r2]
  add r0, r0, r2, lsl #1
  spread
  subs r3, #2
  bpl 2b
3:
  adds r3, #1
  bmi 4f
  ldr r7, [r0]
  mov r8, r6
  subs r4, #1
  bl 6f
4:
  sxtb16 r6, r6
  subs r4, #1
  bmi 7f
5:
  str r6, [r1, #12]
  str r6, [r1, #24]
  str r6, [r1, #36]
  str r6, [r1], #48
  subs r4, #1
  bpl 5b
7:
  pop {r4-r11, pc}
6:
  spread
  bx lr
  .size edgeq_dsp_widen_row, . - edgeq_dsp_widen_row
