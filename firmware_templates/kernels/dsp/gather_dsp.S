/* edgeq_dsp_gather(g, from, to): one output position's window, widened, into its place among the columns of two: a
 * word of two int16 each 8 bytes. Of each filter row the whole words; then what is left of all rows, at most three
 * bytes of each, which is set aside first.
 *
 * 28 cycles for 16 elements on a Cortex-M4: loads of four words 5, SXTB16 8, STR 8, pointers 2, loop 5.
 *
 * Registers: r0 the struct, r1 from, r2 to, r3 bytes left of a row, r4-r7 bytes, r8 set aside, r9 rows left, r12 widened,
 * lr bytes to set aside of a row.
 */
  .syntax unified
  .thumb

/* struct edgeq_dsp_gather */
#define GATHER_REST 0
#define GATHER_ROWS 4
#define GATHER_WHOLE 8
#define GATHER_ASIDE 12
#define GATHER_STEP 16
#define GATHER_REST_WORDS 20

  .section .text.edgeq_dsp_gather, "ax", %progbits
  .global edgeq_dsp_gather
  .type edgeq_dsp_gather, %function
  .thumb_func
  .p2align 4
edgeq_dsp_gather:
  push {r4-r9, lr}
  ldrd r8, r9, [r0, #GATHER_REST]
.Lgather_row:
  ldr r3, [r0, #GATHER_WHOLE]
  ldr lr, [r0, #GATHER_ASIDE]
  subs r3, #16
  blt 2f
1:
  ldr r4, [r1]
  ldr r5, [r1, #4]
  ldr r6, [r1, #8]
  ldr r7, [r1, #12]
  adds r1, #16
  sxtb16 r12, r4
  str r12, [r2]
  sxtb16 r4, r4, ror #8
  str r4, [r2, #8]
  sxtb16 r12, r5
  str r12, [r2, #16]
  sxtb16 r5, r5, ror #8
  str r5, [r2, #24]
  sxtb16 r12, r6
  str r12, [r2, #32]
  sxtb16 r6, r6, ror #8
  str r6, [r2, #40]
  sxtb16 r12, r7
  str r12, [r2, #48]
  sxtb16 r7, r7, ror #8
  str r7, [r2, #56]
  adds r2, #64
  subs r3, #16
  bge 1b
2:
  adds r3, #8                       /* 12, 8, 4 or 0 are left: 4, 0, -4 or -8 here */
  blt 3f
  ldr r4, [r1]
  ldr r5, [r1, #4]
  adds r1, #8
  sxtb16 r12, r4
  str r12, [r2]
  sxtb16 r4, r4, ror #8
  str r4, [r2, #8]
  sxtb16 r12, r5
  str r12, [r2, #16]
  sxtb16 r5, r5, ror #8
  str r5, [r2, #24]
  adds r2, #32
  subs r3, #8
3:
  adds r3, #4
  bne 4f
  ldr r4, [r1]
  adds r1, #4
  sxtb16 r12, r4
  sxtb16 r4, r4, ror #8
  str r12, [r2]
  str r4, [r2, #8]
  adds r2, #16
4:
  cmp lr, #0
  beq 6f
5:
  ldrb r4, [r1], #1
  strb r4, [r8], #1
  subs lr, #1
  bne 5b
6:
  ldr r3, [r0, #GATHER_STEP]
  subs r9, #1
  add r1, r1, r3
  bne .Lgather_row

  ldr r8, [r0, #GATHER_REST]
  ldr r9, [r0, #GATHER_REST_WORDS]
  b 8f
7:
  ldr r4, [r8], #4
  sxtb16 r12, r4
  sxtb16 r4, r4, ror #8
  str r12, [r2]
  str r4, [r2, #8]
  adds r2, #16
8:
  subs r9, #1
  bge 7b
  pop {r4-r9, pc}
  .size edgeq_dsp_gather, . - edgeq_dsp_gather
