/* edgeq_dsp_mat_mul_4_top4: the four highest bits of int8 weights: 16 * min((w + 8) >> 4, 7), of four weights at
 * a time: QADD8 saturates, BIC leaves the high halves. Three instructions a word: 20 cycles for 16 MACs (int8: 17).
 * Sums are 16 times what they stand for, as in edgeq_dsp.h.
 */
#define MAT_MUL edgeq_dsp_mat_mul_4_top4
#define TO_MULTIPLY asr.w
#define UNROLL 4
#define WEIGHT_BYTES 4
#define BLOCK_BYTES 72

  .macro slice word, free
  mov.w \free, #0x08080808
  qadd8 \word, \word, \free
  bic \word, \word, #0x0F0F0F0F
  .endm

#include "kernels/mat_mul_top_dsp.inc"
