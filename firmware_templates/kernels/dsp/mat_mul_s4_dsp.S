/* int4 weights, packed, times int16 columns on cores with the DSP extension: mat_mul_s8_dsp.S for half the bytes.
 *
 * A word holds two channels' weights for two pairs of inputs, the first pair's in the high half of each byte. 37
 * cycles for 32 MACs on a Cortex-M4 (int8: 34), of which the unpacking takes 3: AND, then LSL and AND. The word is
 * loaded again for the second pair, as no register is free to keep it: between two other loads that takes a cycle.
 */
#define MAT_MUL edgeq_dsp_mat_mul_4_s4
#define TO_MULTIPLY asr.w
#define UNROLL 8
#define WEIGHT_BYTES 2
#define BLOCK_BYTES 66

  /* k counts pairs; the word of pairs k and k + 1 is number k / 2. */
  .macro pair k, shift
  ldr.w lr, [r1, #(2 * (\k - \shift))]
  ldr.w r2, [r0, #(16 * \k)]
  ldr.w r3, [r0, #(16 * \k + 4)]
  .if \shift
  lsl.w lr, lr, #4
  .endif
  and lr, lr, #0xF0F0F0F0
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
  pair 0, 0
  pair 1, 1
  pair 2, 0
  pair 3, 1
  pair 4, 0
  pair 5, 1
  pair 6, 0
  pair 7, 1
  .endm

#include "kernels/mat_mul_dsp.inc"
