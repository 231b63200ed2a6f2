/* The strips of rows that depthwise_relu_dsp.inc works on. */
  .syntax unified
  .thumb

/* void edgeq_dsp_widen_strip(const int8_t *in, int32_t *to, const edgeq_dsp_widening *how, int32_t rows)
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
#define W_IN 12
#define W_LAST 16
#define W_ZERO 20
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
  mov lr, r3
  ldm r2, {r2-r9}                    /* step, row, channel, column, pairs, pad, last, zero */
  sub r5, r5, lr, lsl #2
  strd lr, r5, [sp, #W_ROWS]
  strd r6, r0, [sp, #W_PAIRS]
  strd r8, r9, [sp, #W_LAST]
  mov r12, r4
  add r4, r1, r12
  add r5, r4, r12
  add r6, r5, r12
  cmp r7, #0
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
