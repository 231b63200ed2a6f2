/* edgeq_dsp_widen_pairs(in, depth, pairs, to, step): pixels of `depth` bytes, `step` bytes apart, two at a time, as
 * interleaved pairs of int16: [pairs][depth / 2][2][2]. depth: a multiple of four.
 *
 * 28 cycles for 16 elements on a Cortex-M4: loads of four words 5, SXTB16 8, STR 8, pointers 3, loop 4.
 *
 * Registers: r0 first pixel, r1 second, r2 bytes left, r3 to, r4-r7 bytes, r12 widened, r8 depth, r9 pairs left,
 * r10 step.
 */
  .syntax unified
  .thumb
  .section .text.edgeq_dsp_widen_pairs, "ax", %progbits
  .global edgeq_dsp_widen_pairs
  .type edgeq_dsp_widen_pairs, %function
  .thumb_func
  .p2align 4
edgeq_dsp_widen_pairs:
  push {r4-r11}
  ldr r10, [sp, #32]
  mov r8, r1
  mov r9, r2
.Lwiden_pair:
  add r1, r0, r10
  subs r2, r8, #8
  add r11, r1, r10                  /* the next pair */
  blt 2f
1:
  ldr r4, [r0]
  ldr r5, [r1]
  ldr r6, [r0, #4]
  ldr r7, [r1, #4]
  adds r0, #8
  adds r1, #8
  sxtb16 r12, r4
  str r12, [r3]
  sxtb16 r4, r4, ror #8
  str r4, [r3, #8]
  sxtb16 r12, r5
  str r12, [r3, #4]
  sxtb16 r5, r5, ror #8
  str r5, [r3, #12]
  sxtb16 r12, r6
  str r12, [r3, #16]
  sxtb16 r6, r6, ror #8
  str r6, [r3, #24]
  sxtb16 r12, r7
  str r12, [r3, #20]
  sxtb16 r7, r7, ror #8
  str r7, [r3, #28]
  adds r3, #32
  subs r2, #8
  bge 1b
2:
  adds r2, #4
  bne 3f
  ldr r4, [r0]
  ldr r5, [r1], #4
  sxtb16 r12, r4
  str r12, [r3]
  sxtb16 r12, r5
  str r12, [r3, #4]
  sxtb16 r4, r4, ror #8
  str r4, [r3, #8]
  sxtb16 r5, r5, ror #8
  str r5, [r3, #12]
  adds r3, #16
3:
  mov r0, r11
  subs r9, #1
  bne .Lwiden_pair
  pop {r4-r11}
  bx lr
  .size edgeq_dsp_widen_pairs, . - edgeq_dsp_widen_pairs
