/* edgeq kernels: what the generated model calls.
 *
 * Every kernel is a function of a constant parameter block and of pointers into the arena. Integer
 * kernels use no floating point and equal TensorFlow Lite's reference kernels (2.14) in every byte.
 * Tensors are row major, NHWC. Sizes are in elements unless a name says bytes.
 */
#ifndef EDGEQ_KERNELS_H
#define EDGEQ_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* real factor = multiplier * 2^(shift - 31); multiplier in [2^30, 2^31), or 0. */
typedef struct {
  int32_t multiplier;
  int32_t shift; /* positive: to the left */
} edgeq_scale;

/* A window that slides over a plane: convolutions and pooling. */
typedef struct {
  int32_t batches;
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t filter_h, filter_w;
  int32_t stride_h, stride_w;
  int32_t dilation_h, dilation_w;
  int32_t pad_h, pad_w; /* above and to the left; what is missing below and to the right is padded too */
} edgeq_window;

typedef struct {
  edgeq_window window;
  const int8_t *weights;      /* [out_c][filter_h][filter_w][in_c]; depthwise [filter_h][filter_w][out_c] */
  const int32_t *bias;        /* [out_c]; the convolution's own bias, nothing folded in */
  const edgeq_scale *scales;  /* [out_c] */
  int32_t in_zero, out_zero;
  int32_t act_min, act_max;
  int32_t bits;  /* of int8 weights, where only the highest are used: 4 or 2 */
  int32_t group; /* CONV_2D: input channels per group; depthwise: output channels per input channel */
} edgeq_conv_params;

typedef struct {
  int32_t rows, depth, outputs; /* input [rows][depth], weights [outputs][depth], output [rows][outputs] */
  const int8_t *weights;
  const int32_t *bias; /* or NULL */
  const edgeq_scale *scales;
  int32_t scale_step; /* 0: one scale for all outputs; 1: one each */
  int32_t in_zero, weights_zero, out_zero;
  int32_t act_min, act_max;
  int32_t bits; /* as above */
} edgeq_fully_connected_params;

typedef struct {
  edgeq_window window;
  int32_t act_min, act_max;
} edgeq_pool_params;

/* Element-wise with broadcasting: sizes are the output's, a stride of 0 repeats. */
typedef struct {
  int32_t size[6];
  int32_t stride0[6], stride1[6];
  int32_t zero0, zero1, out_zero;
  edgeq_scale scale0, scale1, out_scale;
  int32_t left_shift;
  int32_t act_min, act_max;
} edgeq_binary_params;

typedef struct {
  int32_t count;
  int32_t in_zero, out_zero;
  edgeq_scale scale;
  int32_t act_min, act_max;
} edgeq_rescale_params;

typedef struct {
  int32_t rows, depth;
  int32_t multiplier, left_shift; /* beta * scale of the input in Q5.26 */
  int32_t diff_min;               /* differences to the row's maximum below this count as exp() = 0 */
} edgeq_softmax_params;

typedef struct {
  int32_t size[6];   /* input */
  int32_t before[6]; /* elements added before each dimension */
  int32_t out_size[6];
  int32_t item_bytes;
  int32_t value; /* lowest item_bytes are written */
} edgeq_pad_params;

typedef struct {
  int32_t outer;       /* blocks of the output */
  int32_t block_bytes; /* what this input adds to each */
  int32_t step_bytes;  /* from one output block to the next */
  int32_t offset_bytes;
} edgeq_concat_params;

/* Mean over the dimensions of which `reduce` is 1. */
typedef struct {
  int32_t size[6];
  int32_t reduce[6];
  int32_t count; /* elements per mean */
  int32_t in_zero, out_zero;
  edgeq_scale scale;
} edgeq_mean_params;

typedef struct {
  int32_t count;
  int32_t zero;
  float scale;
} edgeq_affine_params;

void edgeq_conv_2d_s8(const edgeq_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_depthwise_conv_2d_s8(const edgeq_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_s8(const edgeq_fully_connected_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_computed_s8(const edgeq_fully_connected_params *p, const int8_t *in, const int8_t *weights,
                                       int8_t *out); /* weights of another operator, not the parameters' */
void edgeq_conv_2d_s4(const edgeq_conv_params *p, const int8_t *in, int8_t *out); /* _s4: weights of four bits */
void edgeq_conv_2d_top(const edgeq_conv_params *p, const int8_t *in, int8_t *out); /* _top: the highest bits of int8 */
void edgeq_depthwise_conv_2d_s4(const edgeq_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_s4(const edgeq_fully_connected_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_top(const edgeq_fully_connected_params *p, const int8_t *in, int8_t *out);
void edgeq_average_pool_2d_s8(const edgeq_pool_params *p, const int8_t *in, int8_t *out);
void edgeq_max_pool_2d_s8(const edgeq_pool_params *p, const int8_t *in, int8_t *out);
void edgeq_add_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_mul_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_rescale_s8(const edgeq_rescale_params *p, const int8_t *in, int8_t *out);
void edgeq_rescale_u8_s8(const edgeq_rescale_params *p, const uint8_t *in, int8_t *out);
void edgeq_rescale_s8_u8(const edgeq_rescale_params *p, const int8_t *in, uint8_t *out);
void edgeq_clamp_s8(const edgeq_rescale_params *p, const int8_t *in, int8_t *out);
void edgeq_softmax_s8(const edgeq_softmax_params *p, const int8_t *in, int8_t *out);
void edgeq_pad(const edgeq_pad_params *p, const void *in, void *out);
void edgeq_concat_part(const edgeq_concat_params *p, const void *in, void *out);
void edgeq_mean_s8(const edgeq_mean_params *p, const int8_t *in, int8_t *out, int32_t *sums);
void edgeq_quantize_f32_s8(const edgeq_affine_params *p, const float *in, int8_t *out);
void edgeq_dequantize_s8_f32(const edgeq_affine_params *p, const int8_t *in, float *out);

/* Weight number `at` of packed int4 weights: two in a byte, the even one in the low half. */
static inline int32_t edgeq_weight_s4(const int8_t *packed, int32_t at) {
  const int32_t byte = packed[at >> 1];
  return at & 1 ? byte >> 4 : ((byte & 15) ^ 8) - 8;
}

/* The weight that an int8 weight holds in its highest bits: with 4 the nearest sixteenth, with 2 the middle of the
 * quarter that it lies in (odd: steps of half a quarter). */
static inline int32_t edgeq_top_bits(int32_t weight, int32_t bits) {
  if (bits == 2) return 2 * (weight >> 6) + 1;
  const int32_t rounded = (weight + 8) >> 4;
  return rounded > 7 ? 7 : rounded;
}

/* ---- requantization, shared by the kernels ---- */

static inline int32_t edgeq_clamp(int32_t x, int32_t low, int32_t high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/* a + b modulo 2^32: sums of a file's huge biases wrap as the reference's do, and are no undefined behaviour. */
static inline int32_t edgeq_wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/* gemmlowp's SaturatingRoundingDoublingHighMul: (2ab + 2^31) >> 32, except -2^31 * -2^31 which saturates.
 * Its truncating division by 2^31 after a nudge of opposite sign is this shift: ties go up for both signs. */
static inline int32_t edgeq_high_mul_64(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  const int64_t product = (int64_t)a * b;
  return (int32_t)((product + ((int64_t)1 << 30)) >> 31);
}

/* The same from four products of 32 bits, for cores without a longer one: a = 65536 h + l with l signed, so that no
 * product of halves, and no sum of those of 2^15 and below, leaves 32 bits. What is below 2^16 can't carry. */
static inline int32_t edgeq_high_mul_32(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  const int32_t a_low = (int16_t)(uint16_t)a, a_high = (a >> 16) + (a_low < 0 ? 1 : 0);
  const int32_t b_low = (int32_t)(uint16_t)b, b_high = b >> 16;
  const int32_t one = a_low * b_high + (a_low * b_low >> 16) + (1 << 14), other = a_high * b_low;
  const int32_t carry = ((one & 0x7FFF) + (other & 0x7FFF)) >> 15;
  return (int32_t)(2u * (uint32_t)(a_high * b_high) + (uint32_t)((one >> 15) + (other >> 15) + carry));
}

static inline int32_t edgeq_high_mul(int32_t a, int32_t b) {
#if defined(__ARM_ARCH_6M__)
  return edgeq_high_mul_32(a, b);
#else
  return edgeq_high_mul_64(a, b);
#endif
}

/* gemmlowp's RoundingDivideByPOT: x / 2^exponent, ties away from zero. exponent in 0..31. */
static inline int32_t edgeq_round_shift(int32_t x, int32_t exponent) {
  const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
  const int32_t remainder = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/* MultiplyByQuantizedMultiplier with double rounding. */
static inline int32_t edgeq_requantize(int32_t x, edgeq_scale s) {
  const int32_t left = s.shift > 0 ? s.shift : 0;
  const int32_t right = s.shift > 0 ? 0 : -s.shift;
  return edgeq_round_shift(edgeq_high_mul((int32_t)((uint32_t)x << left), s.multiplier), right);
}

#endif
