/* Element by element, four at a time. */
    .syntax unified
    .thumb

/* void edgeq_add_s8_mve(const edgeq_mve_add_params *p, const int8_t *small, const int8_t *large, int8_t *out)
 *
 * The inputs' shifts and the output's are by at least one bit to the right (a rule of the kernel table). The constant of
 * the larger input joins before the output's multiplication. */
    .section .text.edgeq_add_s8_mve, "ax", %progbits
    .global edgeq_add_s8_mve
    .type edgeq_add_s8_mve, %function
    .p2align 2
edgeq_add_s8_mve:
    push {r4-r11, lr}
    vpush {d8-d9}
    ldr r4, [r0, #40]
    ldr r5, [r0, #44]
    vdup.32 q3, r4
    vdup.32 q4, r5
    ldm r0!, {r4-r7}               @ count, zero, left, multiplier
    ldm r0, {r8-r12}               @ shift, factor, offset, out_multiplier, out_shift
    ldr r0, [r0, #20]              @ out_zero
    dlstp.32 lr, r4
1:  vldrb.s32 q0, [r1], #4
    vldrb.s32 q1, [r2], #4
    vsub.i32 q0, q0, r5
    vshl.s32 q0, r6
    vqrdmulh.s32 q0, q0, r7
    vshr.s32 q2, q0, #31
    vadd.i32 q0, q0, q2
    vrshl.s32 q0, r8
    vmla.s32 q0, q1, r9
    vadd.i32 q0, q0, r10
    vqrdmulh.s32 q0, q0, r11
    vshr.s32 q2, q0, #31
    vadd.i32 q0, q0, q2
    vrshl.s32 q0, r12
    vadd.i32 q0, q0, r0
    vmax.s32 q0, q0, q3
    vmin.s32 q0, q0, q4
    vstrb.32 q0, [r3], #4
    letp lr, 1b
    vpop {d8-d9}
    pop {r4-r11, pc}
    .size edgeq_add_s8_mve, . - edgeq_add_s8_mve
