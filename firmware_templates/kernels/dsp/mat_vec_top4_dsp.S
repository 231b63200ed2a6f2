/* edgeq_dsp_mat_vec_top4: the four highest bits of int8 weights: 16 * min((w + 8) >> 4, 7), of four weights at
 * a time: QADD8 saturates, BIC leaves the high halves. Three instructions a word: 35 cycles for 16 MACs (int8: 23).
 * Sums are 16 times what they stand for, as in edgeq_dsp.h.
 */
#define MAT_VEC edgeq_dsp_mat_vec_top4
#define TO_MULTIPLY asr.w
#define WEIGHT_BYTES 4

  .macro slice word, free
  mov.w \free, #0x08080808
  qadd8 \word, \word, \free
  bic \word, \word, #0x0F0F0F0F
  .endm

#include "kernels/mat_vec_top_dsp.inc"
