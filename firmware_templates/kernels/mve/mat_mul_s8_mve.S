/* Three pixels by two channels at a time: 96 products in 12 instructions. */
    .syntax unified
    .thumb
    .text

/* void edgeq_mve_mat_mul_3(const edgeq_mve_tile *tile)
 *
 * r0 r2 r4: the first channel's sums of the three pixels, r6 r8 r10: the second's (VMLADAVA adds to even registers);
 * r1 r3 r5: the pixels, r7 r9: the weights, r11: where the sums go, r12: the bias. On the stack, in the order in which
 * one LDM loads them: beyond, the pixels, depth, last. */
    .section .text.edgeq_mve_mat_mul_3, "ax", %progbits
    .global edgeq_mve_mat_mul_3
    .type edgeq_mve_mat_mul_3, %function
    .p2align 2
edgeq_mve_mat_mul_3:
    push {r4-r11, lr}
    vpush {d8-d9}
    ldrd r7, r12, [r0, #24]
    ldr r11, [r0, #32]
    ldm r0, {r1-r6}
    add r9, r7, r1
    push {r1-r6}
1:  ldm sp, {r0, r1, r3, r5, r6, r8}
    sub r7, r9, r0
    add r9, r7, r6
    dlstp.8 lr, r6
    ldrd r4, r10, [r12], #8
    cmp r11, r8
    mov r0, r4
    mov r2, r4
    mov r6, r10
    mov r8, r10
2:  vldrb.u8 q0, [r7], #16
    vldrb.u8 q1, [r1], #16
    vmladava.s8 r0, q0, q1
    vldrb.u8 q2, [r3], #16
    vmladava.s8 r2, q0, q2
    vldrb.u8 q3, [r5], #16
    vmladava.s8 r4, q0, q3
    vldrb.u8 q4, [r9], #16
    vmladava.s8 r6, q1, q4
    vmladava.s8 r8, q2, q4
    vmladava.s8 r10, q3, q4
    letp lr, 2b
    strd r4, r10, [r11, #512]
    strd r2, r8, [r11, #256]
    strd r0, r6, [r11], #8
    bne 1b
    add sp, sp, #24
    vpop {d8-d9}
    pop {r4-r11, pc}
    .size edgeq_mve_mat_mul_3, . - edgeq_mve_mat_mul_3
