/* Sixteen channels at a time, two taps at a time. The sum of two products fits 16 bits: no two weights of a pair are both
 * -128 (a rule of the kernel table). */
    .syntax unified
    .thumb

#include "kernels/requantize_mve.inc"

    .macro channels scale
1:  ldr r2, [r0, #24]              @ a pixel
    ldr r3, [r0, #28]
    ldr r4, [r0, #32]
    ldr r5, [r0, #36]
    mov r7, r6
    dlstp.8 lr, r2
2:  vldrw.u32 q0, [r4], #16        @ sixteen channels
    vldrw.u32 q1, [r4], #16
    vldrw.u32 q2, [r4], #16
    vldrw.u32 q3, [r4], #16
    ldrd r9, r10, [r0]             @ taps, pairs
3:  ldrd r1, r2, [r9], #8
    add r1, r1, r7
    add r2, r2, r7
    vldrb.u8 q4, [r1]
    vldrb.u8 q5, [r3], #16
    vmullb.s8 q6, q4, q5
    vmullt.s8 q4, q4, q5
    vldrb.u8 q5, [r2]
    vldrb.u8 q7, [r3]
    vmullb.s8 q7, q5, q7
    vadd.i16 q6, q6, q7
    vldrb.u8 q7, [r3], #16
    vmullt.s8 q5, q5, q7
    vadd.i16 q4, q4, q5
    vmovlb.s16 q5, q6
    vmovlt.s16 q6, q6
    vadd.i32 q0, q0, q5
    vadd.i32 q2, q2, q6
    vmovlb.s16 q5, q4
    vmovlt.s16 q4, q4
    vadd.i32 q1, q1, q5
    vadd.i32 q3, q3, q4
    subs r10, r10, #1
    bne 3b
    \scale q0, q1, r5
    \scale q2, q3, r5
    ldrd r1, r2, [r0, #40]         @ out_zero, act_min
    narrow r1
    ldr r1, [r0, #48]
    vdup.8 q6, r2
    vdup.8 q7, r1
    vmax.s8 q0, q0, q6
    vmin.s8 q0, q0, q7
    vstrb.8 q0, [r8], #16
    add r7, r7, #16
    letp lr, 2b
    ldr r2, [r0, #24]
    rsb r1, r2, #0
    and r1, r1, #15
    sub r8, r8, r1
    ldr r1, [r0, #12]
    add r6, r6, r1
    subs r11, r11, #1
    bne 1b
    .endm

/* void edgeq_mve_depthwise(const edgeq_mve_run *run)
 *
 * r0: run, r3: weights, r4: bias, r5: scales, r6: the window, r7: its channels under way, r8: out, r9: taps, r10: pairs
 * left, r11: pixels left. */
    .section .text.edgeq_mve_depthwise, "ax", %progbits
    .global edgeq_mve_depthwise
    .type edgeq_mve_depthwise, %function
    .p2align 2
edgeq_mve_depthwise:
    push {r4-r11, lr}
    vpush {d8-d15}
    ldr r6, [r0, #8]
    ldrd r8, r11, [r0, #16]
    ldr r1, [r0, #52]
    cmp r1, #1
    beq 4f
    bgt 5f
    channels scale_unseen
    b 6f
4:  channels scale_shifted
    b 6f
5:  channels scale_any
6:  vpop {d8-d15}
    pop {r4-r11, pc}
    .size edgeq_mve_depthwise, . - edgeq_mve_depthwise
