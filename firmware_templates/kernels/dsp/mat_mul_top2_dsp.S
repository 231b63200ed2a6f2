/* edgeq_dsp_mat_mul_4_top2: the two highest bits of int8 weights: 32 * (2 * (w >> 6) + 1), the middle of the quarter
 * that a weight lies in. Two instructions a word: 19 cycles for 16 MACs (int8: 17).
 * Sums are 32 times what they stand for, as in edgeq_dsp.h.
 */
#define MAT_MUL edgeq_dsp_mat_mul_4_top2
#define TO_MULTIPLY asr.w
#define UNROLL 8
#define WEIGHT_BYTES 4
#define BLOCK_BYTES 68

  .macro slice word, free
  bic \word, \word, #0x3F3F3F3F
  orr \word, \word, #0x20202020
  .endm

#include "kernels/mat_mul_top_dsp.inc"
