/* 3x3 depthwise convolutions, four channels at a time, over a strip of input rows widened to int16.
 *
 * The strip: for each of four channels, for each two neighbouring pixels, a column of words (x0, x1), one for each row:
 * PITCH of them. The window's three rows stand together, the next pair is PITCH words on.
 *
 * Each word is loaded once for a row of outputs, ends the sums of one step and starts those of the next. With
 * w = (x2, x3) and weights as (k0, k1) and (k1, k2), all 256 times what they stand for, bias folded in:
 *     stride 1, two outputs a step:   o0 += x2 * k2          SMLABT       n0 = w . (k0, k1) + bias    SMLAD
 *                                     o1 += w . (k1, k2)     SMLAD        n1 = x3 * k0 + bias         SMLATB
 *     stride 2, one output a step:    o += x2 * k2           SMLABB, -BT  n = w . (k0, k1) + bias     SMLAD
 * and an output is ssat8(smmul(o, multiplier) >> 8), see edgeq/kernels/high_word.py.
 *
 * Cycles on a Cortex-M4 (n neighbouring loads take n + 1 cycles):
 *     stride 1, two outputs:   loads 3 + 2 + 2 + 2, products 12, SMMUL 2, SSAT 2, STRB 2, UXTAH 2: 29
 *     stride 2, one output:    loads 4, products 6, SMMUL, SSAT, STRB, UXTAH: 14
 * A turn of the loop is four or six steps and takes 4 more; it is entered in its middle for what that doesn't divide. A row
 * takes about 60 more at stride 1, 45 at stride 2.
 *
 * Registers at stride 1: r0 words, r1 output, r2 turns left << 16 | bytes from output to output, r3-r8 weights, r9-r12
 * sums, lr a word; multiplier and bias are on the stack. At stride 2: r3 r4 r5 weights (k0, k1), r6 (k2 of row 0, of
 * row 1), r7 (-, k2 of row 2), r8 multiplier, r9 bias, r10 sum, r11 r12 lr words.
 */
  .syntax unified
  .thumb

#define FRACTION 8
  .equ step_1_code, 100 /* bytes of a step */
  .equ step_2_code, 52

/* the frame; up to F_ODD as edgeq_dsp_depthwise_strip */
#define F_WORDS 0
#define F_OUT 4
#define F_WEIGHTS 8
#define F_SCALES 12
#define F_ROWS 16       /* bytes */
#define F_IN_ROW 20
#define F_OUT_GAP 24
#define F_CHANNEL 28
#define F_COUNT 32
#define F_SKIPPED 36    /* becomes the address at which the loop is entered */
#define F_ODD 40
#define F_MULTIPLIER 44
#define F_BIAS 48
#define F_STOP 52       /* where the words of the row of outputs behind the last would be */
#define F_TODO 56
#define FRAME 60

  /* starts n0, n1 from a word; n0 holds the sum so far, or was does */
  .macro start_1 n0, n1, was, w, k01
  smlatb \n1, \w, \k01, \was
  smlad \n0, \w, \k01, \n0
  .endm

  .macro end_1 o0, o1, w, k12
  smlabt \o0, \w, \k12, \o0
  smlad \o1, \w, \k12, \o1
  .endm

  .macro finish sum, multiplier
  smmul \sum, \sum, \multiplier
  ssat \sum, #8, \sum, asr #FRACTION
  .endm

  .macro step_1 o0, o1, n0, n1, pitch
  ldr.w lr, [r0, #(4 * \pitch)]!
  ldr.w \n0, [sp, #F_BIAS]
  end_1 \o0, \o1, lr, r4
  start_1 \n0, \n1, \n0, lr, r3
  ldr.w lr, [r0, #4]
  end_1 \o0, \o1, lr, r6
  start_1 \n0, \n1, \n1, lr, r5
  ldr.w lr, [r0, #8]
  end_1 \o0, \o1, lr, r8
  start_1 \n0, \n1, \n1, lr, r7
  ldr.w lr, [sp, #F_MULTIPLIER]
  finish \o0, lr
  finish \o1, lr
  strb.w \o0, [r1]
  uxtah r1, r1, r2
  strb.w \o1, [r1]
  uxtah r1, r1, r2
  .endm

  .macro row_1 steps, turn, pitch
  ldr r11, [r0]
  ldr r12, [r0, #4]
  ldr lr, [r0, #8]
  ldr r9, [sp, #F_BIAS]
  start_1 r9, r10, r9, r11, r3
  start_1 r9, r10, r10, r12, r5
  start_1 r9, r10, r10, lr, r7
  mov r11, r9                        /* where the loop is entered with the sums exchanged */
  mov r12, r10
  ldr pc, [sp, #F_SKIPPED]
  .p2align 2
\steps:
  .rept \turn / 2
  step_1 r9, r10, r11, r12, \pitch
  step_1 r11, r12, r9, r10, \pitch
  .endr
  subs r2, r2, #0x10000
  bcs.w \steps
  ldr r11, [r0, #(4 * \pitch)]!
  ldr r12, [r0, #4]
  ldr lr, [r0, #8]
  end_1 r9, r10, r11, r4
  end_1 r9, r10, r12, r6
  end_1 r9, r10, lr, r8
  ldr lr, [sp, #F_MULTIPLIER]
  ldr r11, [sp, #F_ODD]
  finish r9, lr
  finish r10, lr
  strb r9, [r1]
  uxtah r1, r1, r2                   /* odd: to the output behind the last */
  cmp r11, #0
  it eq
  strbeq r10, [r1]
  .endm

  .macro end_2 pitch
  ldr.w r11, [r0, #(4 * \pitch)]!
  ldr.w r12, [r0, #4]
  ldr.w lr, [r0, #8]
  smlabb r10, r11, r6, r10
  smlabt r10, r12, r6, r10
  smlabt r10, lr, r7, r10
  finish r10, r8
  strb.w r10, [r1]
  .endm

  .macro start_2
  smlad r10, r11, r3, r9
  smlad r10, r12, r4, r10
  smlad r10, lr, r5, r10
  .endm

  .macro row_2 steps, turn, pitch
  ldr r11, [r0]
  ldr r12, [r0, #4]
  ldr lr, [r0, #8]
  start_2
  ldr pc, [sp, #F_SKIPPED]
  .p2align 2
\steps:
  .rept \turn
  end_2 \pitch
  uxtah r1, r1, r2
  start_2
  .endr
  subs r2, r2, #0x10000
  bcs.w \steps
  end_2 \pitch
  .endm

  /* The channel's weights, bytes k0 k1 k2 of each row, as the loops have them, from r1, r2 and r9, where they are followed
   * by others. r12: 0xff00ff00. */
  .macro spread k, from02, k01
  and \from02, r12, \k, lsl #8       /* k0 and k2 */
  and r11, r12, \k                   /* k1 */
  pkhbt \k01, \from02, r11, lsl #16
  .endm

  .macro weights_1
  spread r1, r10, r3
  pkhbt r4, r11, r10
  spread r2, r10, r5
  pkhbt r6, r11, r10
  spread r9, r10, r7
  pkhbt r8, r11, r10
  .endm

  .macro weights_2
  spread r1, r6, r3
  spread r2, r7, r4
  pkhtb r6, r7, r6, asr #16
  spread r9, r7, r5
  .endm

  /* 256 times to 4 times: halved six times. */
  .macro scale_little weights:vararg
  movs r0, #6
  mov r12, #0
4:
  .irp k, \weights
  shadd16 \k, \k, r12
  .endr
  subs r0, #1
  bne 4b
  .endm

  /* void name(const edgeq_dsp_depthwise_strip *) */
  .macro rows_of_outputs stride, pitch, turn, multiplier, bias, weights:vararg
  .section .text.edgeq_dsp_depthwise_relu_\stride\()_\pitch, "ax", %progbits
  .global edgeq_dsp_depthwise_relu_\stride\()_\pitch
  .type edgeq_dsp_depthwise_relu_\stride\()_\pitch, %function
  .thumb_func
  .p2align 3
edgeq_dsp_depthwise_relu_\stride\()_\pitch:
  push {r4-r11, lr}
  sub sp, #FRAME
  ldm r0, {r1-r11}
  movs r0, #step_\stride\()_code
  adr.w r12, .Lsteps_\stride\()_\pitch
  mla r10, r10, r0, r12
  orr r10, r10, #1
  stm sp, {r1-r11}
  movs r0, #4
3:
  str r0, [sp, #F_TODO]
  ldr r0, [sp, #F_WEIGHTS]
  mov r12, #0xff00ff00
  ldr r1, [r0]
  ldr r2, [r0, #3]
  ldr r9, [r0, #6]
  adds r0, #9
  str r0, [sp, #F_WEIGHTS]
  weights_\stride
  ldr r0, [sp, #F_SCALES]
  ldm r0!, {\multiplier, \bias}
  str r0, [sp, #F_SCALES]
  cmp \multiplier, #0
  bpl 1f
  bic \multiplier, \multiplier, #0x80000000
  scale_little \weights
1:
  ldr r0, [sp, #F_WORDS]
  ldr r1, [sp, #F_OUT]
  ldr r2, [sp, #F_COUNT]
  ldr r11, [sp, #F_ROWS]
  add r11, r11, r0
  str r11, [sp, #F_STOP]
  .if \stride == 1
  str \multiplier, [sp, #F_MULTIPLIER]
  str \bias, [sp, #F_BIAS]
  .endif
2:
  row_\stride .Lsteps_\stride\()_\pitch, \turn, \pitch
  ldr r11, [sp, #F_IN_ROW]
  ldr r12, [sp, #F_OUT_GAP]
  ldr r2, [sp, #F_COUNT]
  ldr lr, [sp, #F_STOP]
  add r0, r11
  add r1, r12
  cmp r0, lr
  bne.w 2b
  ldr r0, [sp, #F_WORDS]
  ldr r1, [sp, #F_CHANNEL]
  ldr r2, [sp, #F_OUT]
  add r0, r1
  adds r2, #1
  str r0, [sp, #F_WORDS]
  str r2, [sp, #F_OUT]
  ldr r0, [sp, #F_TODO]
  subs r0, #1
  bne.w 3b
  add sp, #FRAME
  pop {r4-r11, pc}
  .size edgeq_dsp_depthwise_relu_\stride\()_\pitch, . - edgeq_dsp_depthwise_relu_\stride\()_\pitch
  .endm

  rows_of_outputs 1, 7, 4, r9, r10, r3, r4, r5, r6, r7, r8
  rows_of_outputs 1, 16, 6, r9, r10, r3, r4, r5, r6, r7, r8
  rows_of_outputs 2, 7, 6, r8, r9, r3, r4, r5, r6, r7
  rows_of_outputs 2, 15, 6, r8, r9, r3, r4, r5, r6, r7

/* void edgeq_dsp_widen_strip(const int8_t *in, int32_t *to, const edgeq_dsp_widening *how)
 *
 * Rows of four channels into the strip, down one pair of pixels after the other: the first perhaps (zero point, x0), the
 * last perhaps (x, zero point).
 *
 * Cycles on a Cortex-M4, two pixels of four channels: loads 3, pointer 1, PKH 2, SXTB16 4, STR 4, half a turn 2: 16.
 *
 * Registers: r0 in, r1 r4 r5 r6 words of the four channels, r2 bytes from pixel to pixel, r3 from row to row, r7 r8 two
 * pixels, r9 r10 r12 what becomes of them, r11 turns left, lr rows.
 */
#define W_ROWS 0
#define W_GAP 4         /* from behind a column's last row to the next one's first */
#define W_PAIRS 8
#define W_PAD 12
#define W_LAST 16
#define W_ZERO 20
#define W_IN 24
#define W_FRAME 28

  .macro spread_pixels a, b
  pkhbt r9, \a, \b, lsl #16          /* channels 0 and 1 of both */
  pkhtb r10, \b, \a, asr #16         /* channels 2 and 3 */
  sxtb16 r12, r9, ror #8
  sxtb16 r9, r9
  str r12, [r4], #4
  str r9, [r1], #4
  sxtb16 r12, r10, ror #8
  sxtb16 r10, r10
  str r12, [r6], #4
  str r10, [r5], #4
  .endm

  .macro two_pixels
  ldr r7, [r0]
  ldr r8, [r0, r2]
  add r0, r3
  spread_pixels r7, r8
  .endm

  /* r7 is the pixel that the pair has */
  .macro half_column a, b
  ldr r8, [sp, #W_ZERO]
  ldr r11, [sp, #W_ROWS]
5:
  ldr r7, [r0]
  add r0, r3
  spread_pixels \a, \b
  subs r11, #1
  bne 5b
  .endm

  .macro next_column
  ldr r9, [sp, #W_GAP]
  add r1, r9
  add r4, r9
  add r5, r9
  add r6, r9
  .endm

  .section .text.edgeq_dsp_widen_strip, "ax", %progbits
  .global edgeq_dsp_widen_strip
  .type edgeq_dsp_widen_strip, %function
  .thumb_func
  .p2align 3
edgeq_dsp_widen_strip:
  push {r4-r11, lr}
  sub sp, #W_FRAME
  ldm r2!, {r3-r9}                   /* step, row, channel, rows, column, pairs, pad */
  sub r7, r7, r6, lsl #2
  ldrd r10, r11, [r2]                /* last, zero */
  strd r6, r7, [sp, #W_ROWS]
  strd r8, r9, [sp, #W_PAIRS]
  strd r10, r11, [sp, #W_LAST]
  mov r2, r3
  mov r3, r4
  mov r7, r5
  mov lr, r6
  add r4, r1, r7
  add r5, r4, r7
  add r6, r5, r7
  str r0, [sp, #W_IN]
  cmp r9, #0
  beq 1f
  half_column r8, r7
  next_column
  ldr r0, [sp, #W_IN]
  add r0, r2
  str r0, [sp, #W_IN]
1:
  ldr r9, [sp, #W_PAIRS]
  cmp r9, #0
  beq 4f
2:
  str r9, [sp, #W_PAIRS]
  adds r11, lr, #1
  lsrs r11, r11, #1                  /* carry: an even number of rows */
  bcc 6f
3:
  two_pixels
6:
  two_pixels
  subs r11, #1
  bne 3b
  next_column
  ldr r0, [sp, #W_IN]
  ldr r9, [sp, #W_PAIRS]
  add r0, r0, r2, lsl #1
  str r0, [sp, #W_IN]
  subs r9, #1
  bne 2b
4:
  ldr r9, [sp, #W_LAST]
  cmp r9, #0
  beq 7f
  half_column r7, r8
7:
  add sp, #W_FRAME
  pop {r4-r11, pc}
  .size edgeq_dsp_widen_strip, . - edgeq_dsp_widen_strip

/* void edgeq_dsp_keep_rows(int32_t *to, const int32_t *from, int32_t columns, int32_t column_bytes)
 *
 * Two rows of a strip become two others. Columns are a multiple of four, here and below. */
  .section .text.edgeq_dsp_keep_rows, "ax", %progbits
  .global edgeq_dsp_keep_rows
  .type edgeq_dsp_keep_rows, %function
  .thumb_func
  .p2align 2
edgeq_dsp_keep_rows:
  push {r4, r5}
8:
  .rept 2
  ldrd r4, r5, [r1]
  add r1, r3
  strd r4, r5, [r0]
  add r0, r3
  .endr
  subs r2, #2
  bne 8b
  pop {r4, r5}
  bx lr
  .size edgeq_dsp_keep_rows, . - edgeq_dsp_keep_rows

/* void edgeq_dsp_pad_row(int32_t *to, int32_t columns, int32_t column_bytes, int32_t zero) */
  .section .text.edgeq_dsp_pad_row, "ax", %progbits
  .global edgeq_dsp_pad_row
  .type edgeq_dsp_pad_row, %function
  .thumb_func
  .p2align 2
edgeq_dsp_pad_row:
  .rept 4
  str r3, [r0]
  add r0, r2
  .endr
  subs r1, #4
  bne edgeq_dsp_pad_row
  bx lr
  .size edgeq_dsp_pad_row, . - edgeq_dsp_pad_row
