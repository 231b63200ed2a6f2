/* int16 activations (TensorFlow Lite's 16x8 scheme): sums in 64 bits, no zero points. */
#ifndef EDGEQ_S16_H
#define EDGEQ_S16_H

#include "kernels/edgeq_kernels.h"

typedef struct {
  edgeq_window window;
  const int8_t *weights;     /* [out_c][filter_h][filter_w][in_c]; depthwise [filter_h][filter_w][out_c] */
  const int64_t *bias;       /* [out_c] */
  const edgeq_scale *scales; /* [out_c] */
  int32_t narrow; /* 1: sums wrap in 32 bits and are scaled as int8's are, which an int32 bias asks for */
  int32_t act_min, act_max;
  int32_t group; /* CONV_2D: input channels per group; depthwise: output channels per input channel */
} edgeq_conv_s16_params;

typedef struct {
  int32_t rows, depth, outputs; /* input [rows][depth], weights [outputs][depth], output [rows][outputs] */
  const int8_t *weights;
  const int64_t *bias;
  const edgeq_scale *scales;
  int32_t scale_step; /* 0: one scale for all outputs; 1: one each */
  int32_t weights_zero;
  int32_t narrow;
  int32_t act_min, act_max;
} edgeq_fully_connected_s16_params;

typedef struct {
  int32_t rows, depth;
  edgeq_scale scale;         /* differences to the row's maximum in units of 10/65535 */
  const int16_t *exp;        /* [513]: exp() over -10..0 as Q0.15 */
  const int16_t *reciprocal; /* [513]: 1 / (1 + x) over 0..1 as Q0.15 */
} edgeq_softmax_s16_params;

typedef struct {
  int32_t count;
  int32_t multiplier, shift; /* to the table's steps: 24 per unit, with 9 (logistic) or 8 (tanh) bits of fraction */
} edgeq_sigmoid_s16_params;

void edgeq_conv_2d_s16(const edgeq_conv_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_depthwise_conv_2d_s16(const edgeq_conv_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_transpose_conv_s16(const edgeq_conv_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_fully_connected_s16(const edgeq_fully_connected_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_average_pool_2d_s16(const edgeq_pool_params *p, const int16_t *in, int16_t *out);
void edgeq_max_pool_2d_s16(const edgeq_pool_params *p, const int16_t *in, int16_t *out);
void edgeq_add_s16(const edgeq_binary_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_sub_s16(const edgeq_binary_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_mul_s16(const edgeq_binary_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_rescale_s16(const edgeq_rescale_params *p, const int16_t *in, int16_t *out);
void edgeq_rescale_s8_s16(const edgeq_rescale_params *p, const int8_t *in, int16_t *out);
void edgeq_rescale_u8_s16(const edgeq_rescale_params *p, const uint8_t *in, int16_t *out);
void edgeq_rescale_s16_s32(const edgeq_rescale_params *p, const int16_t *in, int32_t *out);
void edgeq_rescale_s32_s16(const edgeq_rescale_params *p, const int32_t *in, int16_t *out);
void edgeq_rescale_s32_s8(const edgeq_rescale_params *p, const int32_t *in, int8_t *out);
void edgeq_rescale_s16_s8(const edgeq_rescale_params *p, const int16_t *in, int8_t *out);
void edgeq_softmax_s16(const edgeq_softmax_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_logistic_s16(const edgeq_sigmoid_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_tanh_s16(const edgeq_sigmoid_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_mean_s16(const edgeq_mean_params *p, const int16_t *in, int16_t *out, int32_t *sums);
void edgeq_quantize_f32_s16(const edgeq_affine_params *p, const float *in, int16_t *out);
void edgeq_dequantize_s16_f32(const edgeq_affine_params *p, const int16_t *in, float *out);

/* The wide MultiplyByQuantizedMultiplier: 16 bits of the multiplier, one rounding, ties up. Shifts up to 14. */
static inline int32_t edgeq_requantize_wide(int64_t x, edgeq_scale s) {
  const int32_t reduced = s.multiplier < 0x7FFF0000 ? (s.multiplier + (1 << 15)) >> 16 : 0x7FFF;
  const int32_t right = 15 - s.shift;
  const uint64_t product = (uint64_t)x * (uint64_t)reduced + ((uint64_t)1 << (right - 1));
  return (int32_t)((int64_t)product >> right);
}

/* sum + bias as an output: scaled in 32 bits (narrow) or 64. */
static inline int32_t edgeq_scaled_sum(int64_t sum, int64_t bias, edgeq_scale s, int32_t narrow) {
  const uint64_t total = (uint64_t)sum + (uint64_t)bias;
  return narrow ? edgeq_requantize((int32_t)(uint32_t)total, s) : edgeq_requantize_wide((int64_t)total, s);
}

/* A table of 513 values at every 128th argument, with a line between two of them. */
static inline int16_t edgeq_interpolate(const int16_t *table, int32_t value) {
  const int16_t *base = table + 256 + (value >> 7);
  const int32_t slope = (int16_t)(base[1] - base[0]);
  return (int16_t)(base[0] + ((slope * (value & 127) + 64) >> 7));
}

#endif
