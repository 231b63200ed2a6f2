/* A depthwise convolution's products, four channels at a time: on a Cortex-M0+ 29 cycles per tap.
 *
 * Registers: r0 weights, r1 taps, r2 the channel, r3 four activations, r4 four weights, r5 r6 one of each, r7 taps to do,
 * r8-r11 sums, r12 the taps' number, lr groups to do. */
  .syntax unified
  .thumb
  .text

/* the frame: two words, nine saved, then the caller's arguments */
#define F_TAPS 0
#define F_BIASES 4
#define F_SUMS 44
#define F_GROUPS 48

  .global edgeq_thumb_taps
  .type edgeq_thumb_taps, %function
  .thumb_func
  .balign 4
edgeq_thumb_taps:
  push {r4-r7, lr}
  mov r4, r8
  mov r5, r9
  mov r6, r10
  mov r7, r11
  push {r4-r7}
  sub sp, #8
  str r1, [sp, #F_TAPS]
  str r3, [sp, #F_BIASES]
  mov r12, r2
  ldr r4, [sp, #F_GROUPS]
  mov lr, r4
  movs r2, #0
.Lchannels:
  ldr r3, [sp, #F_BIASES]
  ldmia r3!, {r4-r7}
  str r3, [sp, #F_BIASES]
  mov r8, r4
  mov r9, r5
  mov r10, r6
  mov r11, r7
  ldr r1, [sp, #F_TAPS]
  mov r7, r12
.Ltap:
  ldmia r1!, {r3}
  ldr r3, [r3, r2]
  ldmia r0!, {r4}
  sxtb r5, r3
  sxtb r6, r4
  muls r5, r6, r5
  add r8, r5
  lsls r5, r3, #16
  asrs r5, r5, #24
  lsls r6, r4, #16
  asrs r6, r6, #24
  muls r5, r6, r5
  add r9, r5
  lsls r5, r3, #8
  asrs r5, r5, #24
  lsls r6, r4, #8
  asrs r6, r6, #24
  muls r5, r6, r5
  add r10, r5
  asrs r3, r3, #24
  asrs r4, r4, #24
  muls r3, r4, r3
  add r11, r3
  subs r7, r7, #1
  bne .Ltap
  mov r4, r8
  mov r5, r9
  mov r6, r10
  mov r7, r11
  ldr r3, [sp, #F_SUMS]
  stmia r3!, {r4-r7}
  str r3, [sp, #F_SUMS]
  adds r2, r2, #4
  mov r3, lr
  subs r3, r3, #1
  mov lr, r3
  bne .Lchannels
  add sp, #8
  pop {r4-r7}
  mov r8, r4
  mov r9, r5
  mov r10, r6
  mov r11, r7
  pop {r4-r7, pc}
  .size edgeq_thumb_taps, . - edgeq_thumb_taps
