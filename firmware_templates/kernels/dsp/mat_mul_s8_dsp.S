/* int8 weights times int16 columns on cores with the DSP extension.
 *
 * edgeq_dsp_mat_mul_4: four pixels, all output channels, two channels at a time.
 *
 * One pair of inputs for 4 pixels x 2 channels, 16 MACs in 17 cycles on a Cortex-M4 (n neighbouring loads take
 * n + 1 cycles, all else 1):
 *     LDR w; LDR x0; LDR x1                           4
 *     SXTB16 wa, w;  SXTB16 w, w, ROR #8              2   two weights of channel A, two of channel B
 *     SMLAD a0 b0 a1 b1                               4
 *     LDR x0; LDR x1                                  3
 *     SMLAD a2 b2 a3 b3                               4
 * Every instruction is forced to 32 bits so that a block is 60 bytes and the unrolled loop of eight blocks can
 * be entered in its middle for a number of pairs that eight doesn't divide. No base is updated by a load (that
 * would keep the next load from being pipelined).
 *
 * Registers: r0 columns, r1 weights, r2 r3 x, r4-r7 channel A, r8-r11 channel B, r12 wa, lr w.
 */
  .syntax unified
  .thumb
  .text

#define BLOCK_BYTES 60
#define UNROLL 8

/* struct edgeq_dsp_tile */
#define TILE_COLUMNS 0
#define TILE_WEIGHTS 4
#define TILE_BIAS 8
#define TILE_SCALES 12
#define TILE_OUT 16
#define TILE_OUT_STRIDE 20
#define TILE_PAIRS 24
#define TILE_CHANNELS 28
#define TILE_ACT_MIN 32
#define TILE_ACT_MAX 36

/* the frame: what doesn't fit in registers */
#define F_ENTRY 0     /* address of the block to start with */
#define F_FIRST 4     /* columns, moved back by the blocks that are skipped at the start */
#define F_END 8       /* where the columns end */
#define F_WEIGHTS 12
#define F_BIAS 16
#define F_SCALES 20
#define F_OUT 24
#define F_STRIDE 28
#define F_CHANNELS 32
#define F_SKIPPED 36  /* bytes of weights in the blocks that are skipped */
#define F_ACT_MIN 40
#define F_ACT_MAX 44
#define FRAME 48

  .macro pair k
  ldr.w lr, [r1, #(4 * \k)]
  ldr.w r2, [r0, #(16 * \k)]
  ldr.w r3, [r0, #(16 * \k + 4)]
  sxtb16 r12, lr
  sxtb16 lr, lr, ror #8
  smlad r4, r2, r12, r4
  smlad r8, r2, lr, r8
  smlad r5, r3, r12, r5
  smlad r9, r3, lr, r9
  ldr.w r2, [r0, #(16 * \k + 8)]
  ldr.w r3, [r0, #(16 * \k + 12)]
  smlad r6, r2, r12, r6
  smlad r10, r2, lr, r10
  smlad r7, r3, r12, r7
  smlad r11, r3, lr, r11
  .endm

  /* One sum to the output's scale: r2 multiplier, r3 rounding and zero point, r12 left shift, lr right shift. */
  .macro requantize acc
  lsl.w \acc, \acc, r12
  smmulr \acc, \acc, r2
  add.w \acc, \acc, \acc, asr #31
  add.w \acc, \acc, r3
  asr.w \acc, \acc, lr
  ssat \acc, #8, \acc
  .endm

  /* The same where nothing is shifted right, or the clamp is tighter than int8. */
  .macro requantize_carefully acc
  lsl.w \acc, \acc, r12
  smmulr \acc, \acc, r2
  cmp.w lr, #0
  it ne
  addne.w \acc, \acc, \acc, asr #31
  add.w \acc, \acc, r3
  asr.w \acc, \acc, lr
  .endm

  .macro clamp acc
  cmp.w \acc, r2
  it lt
  movlt.w \acc, r2
  cmp.w \acc, r3
  it gt
  movgt.w \acc, r3
  .endm

  /* Four sums of one channel (0 or 1 of the pair) to bytes, pixel by pixel. */
  .macro finish acc0, acc1, acc2, acc3, channel
  ldr.w r0, [sp, #F_SCALES]
  ldr.w r2, [r0, #(12 * \channel)]
  ldr.w r3, [r0, #(12 * \channel + 4)]
  ldr.w r12, [r0, #(12 * \channel + 8)]
  ldr.w r0, [sp, #F_OUT]
  ldr.w r1, [sp, #F_STRIDE]
  tst.w r12, #0x10000
  ubfx lr, r12, #8, #8
  bne 1f
  requantize \acc0
  requantize \acc1
  requantize \acc2
  requantize \acc3
  b 2f
1:
  requantize_carefully \acc0
  requantize_carefully \acc1
  requantize_carefully \acc2
  requantize_carefully \acc3
  ldr.w r2, [sp, #F_ACT_MIN]
  ldr.w r3, [sp, #F_ACT_MAX]
  clamp \acc0
  clamp \acc1
  clamp \acc2
  clamp \acc3
2:
  .if \channel
  adds r0, #\channel
  .endif
  strb.w \acc0, [r0]
  add r0, r0, r1
  strb.w \acc1, [r0]
  add r0, r0, r1
  strb.w \acc2, [r0]
  strb.w \acc3, [r0, r1]
  .endm

  .section .text.edgeq_dsp_mat_mul_4, "ax", %progbits
  .global edgeq_dsp_mat_mul_4
  .type edgeq_dsp_mat_mul_4, %function
  .thumb_func
  .align 3
edgeq_dsp_mat_mul_4:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  ldr r1, [r0, #TILE_WEIGHTS]
  ldr r2, [r0, #TILE_BIAS]
  ldr r3, [r0, #TILE_SCALES]
  str r2, [sp, #F_BIAS]
  str r3, [sp, #F_SCALES]
  ldr r2, [r0, #TILE_OUT]
  ldr r3, [r0, #TILE_OUT_STRIDE]
  str r2, [sp, #F_OUT]
  str r3, [sp, #F_STRIDE]
  ldr r2, [r0, #TILE_CHANNELS]
  ldr r3, [r0, #TILE_ACT_MIN]
  str r2, [sp, #F_CHANNELS]
  str r3, [sp, #F_ACT_MIN]
  ldr r3, [r0, #TILE_ACT_MAX]
  str r3, [sp, #F_ACT_MAX]
  ldr r2, [r0, #TILE_PAIRS]
  ldr r3, [r0, #TILE_COLUMNS]
  add r4, r3, r2, lsl #4
  str r4, [sp, #F_END]
  rsb r5, r2, #0
  and r5, r5, #(UNROLL - 1)         /* blocks to skip on entry */
  sub r3, r3, r5, lsl #4
  str r3, [sp, #F_FIRST]
  lsl r4, r5, #2
  str r4, [sp, #F_SKIPPED]
  movs r6, #BLOCK_BYTES
  adr.w r4, .Lmat_mul_blocks
  mla r4, r5, r6, r4
  orr r4, r4, #1                    /* Thumb */
  str r4, [sp, #F_ENTRY]

.Lmat_mul_channels:
  ldr r2, [sp, #F_BIAS]
  ldrd r4, r8, [r2], #8
  str r2, [sp, #F_BIAS]
  mov r5, r4
  mov r6, r4
  mov r7, r4
  mov r9, r8
  mov r10, r8
  mov r11, r8
  ldr r0, [sp, #F_FIRST]
  ldr r2, [sp, #F_SKIPPED]
  ldr r3, [sp, #F_ENTRY]
  sub r1, r1, r2
  bx r3
  .align 3
.Lmat_mul_blocks:
  pair 0
  pair 1
  pair 2
  pair 3
  pair 4
  pair 5
  pair 6
  pair 7
  ldr r2, [sp, #F_END]
  add r0, r0, #(16 * UNROLL)
  add r1, r1, #(4 * UNROLL)
  cmp r0, r2
  bne .Lmat_mul_blocks

  str r1, [sp, #F_WEIGHTS]
  finish r4, r5, r6, r7, 0
  ldr r4, [sp, #F_CHANNELS]
  subs r4, #2
  str r4, [sp, #F_CHANNELS]
  bmi .Lmat_mul_done                /* an odd number of channels: B of the last pair is not there */
  finish r8, r9, r10, r11, 1
  ldr r2, [sp, #F_SCALES]
  ldr r3, [sp, #F_OUT]
  ldr r4, [sp, #F_CHANNELS]
  ldr r1, [sp, #F_WEIGHTS]
  adds r2, #24
  adds r3, #2
  str r2, [sp, #F_SCALES]
  str r3, [sp, #F_OUT]
  cmp r4, #0
  bne .Lmat_mul_channels
.Lmat_mul_done:
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeq_dsp_mat_mul_4, . - edgeq_dsp_mat_mul_4
