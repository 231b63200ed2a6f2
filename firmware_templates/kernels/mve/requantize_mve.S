/* Sums of matrix products to the output's scale. */
    .syntax unified
    .thumb

#include "kernels/requantize_mve.inc"

    .macro rows scale
1:  mov r9, r1
    mov r10, r2
    mov r11, r3
    mov r12, r4
2:  vld40.32 {q0, q1, q2, q3}, [r9]
    vld41.32 {q0, q1, q2, q3}, [r9]
    vld42.32 {q0, q1, q2, q3}, [r9]
    vld43.32 {q0, q1, q2, q3}, [r9]!
    \scale q0, q1, r10
    \scale q2, q3, r10
    narrow r8
    vmax.s8 q0, q0, q6
    vmin.s8 q0, q0, q7
    vctp.8 r12
    vpst
    vstrbt.8 q0, [r11], #16
    sub r10, r10, r7
    subs r12, r12, #16
    bgt 2b
    add r1, r1, #256
    add r3, r3, r6
    subs r5, r5, #1
    bne 1b
    .endm

/* void edgeq_mve_requantize(const edgeq_mve_sums *sums)
 *
 * r1: sums, r2: scales, r3: out, r4: channels, r5: rows, r6: out_stride, r7: rewind, r8: out_zero; q6 q7: the clamp;
 * r9-r12: the same of the row under way. */
    .section .text.edgeq_mve_requantize, "ax", %progbits
    .global edgeq_mve_requantize
    .type edgeq_mve_requantize, %function
    .p2align 2
edgeq_mve_requantize:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldm r0, {r1-r10}
    vdup.8 q6, r9
    vdup.8 q7, r10
    ldr r0, [r0, #40]
    cmp r0, #1
    beq 4f
    bgt 5f
    rows scale_unseen
    b 6f
4:  rows scale_shifted
    b 6f
5:  rows scale_any
6:  vpop {d8-d15}
    pop {r4-r11, pc}
    .size edgeq_mve_requantize, . - edgeq_mve_requantize
