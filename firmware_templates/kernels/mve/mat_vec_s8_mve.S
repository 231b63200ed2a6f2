/* Four rows of a matrix times one vector at a time: 64 products in 10 instructions. */
    .syntax unified
    .thumb

/* void edgeq_mve_mat_vec_4(const edgeq_mve_rows *rows)
 *
 * r0 r2 r4 r6: sums; r1 r3 r5 r7: weights, r8: the vector, r9: blocks left, r11: where the sums go, r12: the bias. On the
 * stack: beyond, row_bytes, depth, in. */
    .section .text.edgeq_mve_mat_vec_4, "ax", %progbits
    .global edgeq_mve_mat_vec_4
    .type edgeq_mve_mat_vec_4, %function
    .p2align 2
edgeq_mve_mat_vec_4:
    push {r4-r11, lr}
    ldrd r7, r12, [r0, #16]
    ldrd r11, r9, [r0, #24]
    ldm r0, {r1-r4}
    add r7, r7, r1
    push {r1-r4}
1:  ldm sp, {r0, r2, r4, r8}
    sub r1, r7, r0
    add r3, r1, r2
    add r5, r3, r2
    add r7, r5, r2
    dlstp.8 lr, r4
    ldm r12!, {r0, r2, r4, r6}
2:  vldrb.u8 q0, [r8], #16
    vldrb.u8 q1, [r1], #16
    vmladava.s8 r0, q0, q1
    vldrb.u8 q2, [r3], #16
    vmladava.s8 r2, q0, q2
    vldrb.u8 q3, [r5], #16
    vmladava.s8 r4, q0, q3
    vldrb.u8 q1, [r7], #16
    vmladava.s8 r6, q0, q1
    letp lr, 2b
    stm r11!, {r0, r2, r4, r6}
    subs r9, r9, #1
    bne 1b
    add sp, sp, #16
    pop {r4-r11, pc}
    .size edgeq_mve_mat_vec_4, . - edgeq_mve_mat_vec_4
