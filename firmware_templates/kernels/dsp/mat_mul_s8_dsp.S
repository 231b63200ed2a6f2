/* int8 weights times int16 columns on cores with the DSP extension.
 *
 * edgeq_dsp_mat_mul_4: four pixels, all output channels, two channels at a time (see mat_mul_dsp.inc).
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
#define MAT_MUL edgeq_dsp_mat_mul_4
#define TO_MULTIPLY lsl.w
#define UNROLL 8
#define WEIGHT_BYTES 4
#define BLOCK_BYTES 60

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

  .macro unrolled
  pair 0
  pair 1
  pair 2
  pair 3
  pair 4
  pair 5
  pair 6
  pair 7
  .endm

#include "kernels/mat_mul_dsp.inc"
