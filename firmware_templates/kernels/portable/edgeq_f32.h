/* Float operators. Sums run in the reference's order, so that they round as it does. */
#ifndef EDGEQ_F32_H
#define EDGEQ_F32_H

#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_spatial.h"

typedef struct {
  edgeq_window window;
  const float *weights; /* as in edgeq_conv_params */
  const float *bias;    /* [out_c] */
  float act_min, act_max;
  int32_t group;
} edgeq_conv_f32_params;

typedef struct {
  int32_t rows, depth, outputs;
  const float *weights; /* [outputs][depth] */
  const float *bias;
  float act_min, act_max;
} edgeq_fully_connected_f32_params;

typedef struct {
  edgeq_window window;
  float act_min, act_max;
} edgeq_pool_f32_params;

typedef struct {
  int32_t count;
  float low, high; /* clamp: the limits; leaky_relu: low is the slope below zero */
} edgeq_unary_f32_params;

typedef struct {
  int32_t rows, depth;
  float beta;
} edgeq_softmax_f32_params;

typedef struct {
  int32_t size[6];
  int32_t reduce[6];
  int32_t count; /* elements per mean */
} edgeq_mean_f32_params;

/* For each row or column of the output: the two of the input around it; and how far from the first. */
typedef struct {
  int32_t batches, in_h, in_w, depth, out_h, out_w;
  const int32_t *rows, *columns;   /* [out][2] */
  const float *row_at, *column_at; /* [out] */
} edgeq_resize_f32_params;

typedef struct {
  int32_t batches, inputs, units, rank, memory;
  const float *features, *times, *bias;
  float act_min, act_max;
} edgeq_svdf_f32_params;

/* Gates in the order input, forget, cell, output. */
typedef struct {
  int32_t batches, steps, inputs, units;
  int32_t time_major;
  const float *weights;   /* [4][units][inputs] */
  const float *recurrent; /* [4][units][units] */
  const float *bias;      /* [4][units] */
  float clip;             /* of the cell */
} edgeq_lstm_f32_params;

/* hidden, cell: [batches][units]; gates: 4 * units of scratch */
void edgeq_lstm_f32(const edgeq_lstm_f32_params *p, const float *in, float *hidden, float *cell, float *out,
                    float *gates);
void edgeq_conv_2d_f32(const edgeq_conv_f32_params *p, const float *in, float *out);
void edgeq_depthwise_conv_2d_f32(const edgeq_conv_f32_params *p, const float *in, float *out);
void edgeq_transpose_conv_f32(const edgeq_conv_f32_params *p, const float *in, float *out);
void edgeq_fully_connected_f32(const edgeq_fully_connected_f32_params *p, const float *in, float *out);
void edgeq_fully_connected_computed_f32(const edgeq_fully_connected_f32_params *p, const float *in,
                                        const float *weights, float *out); /* of another operator */
void edgeq_batch_matmul_f32(const edgeq_batch_matmul_params *p, const float *a, const float *b, float *out);
void edgeq_average_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out);
void edgeq_max_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out);
void edgeq_l2_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out);
void edgeq_resize_bilinear_f32(const edgeq_resize_f32_params *p, const float *in, float *out);
void edgeq_svdf_f32(const edgeq_svdf_f32_params *p, const float *in, float *state, float *out);
void edgeq_softmax_f32(const edgeq_softmax_f32_params *p, const float *in, float *out);
void edgeq_log_softmax_f32(const edgeq_softmax_f32_params *p, const float *in, float *out);
void edgeq_l2_normalization_f32(const edgeq_softmax_f32_params *p, const float *in, float *out);
void edgeq_sum_f32(const edgeq_reduce_params *p, const float *in, float *out);
void edgeq_mean_f32(const edgeq_mean_f32_params *p, const float *in, float *out);
void edgeq_cumsum_f32(const edgeq_cumsum_params *p, const float *in, float *out);

void edgeq_add_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_sub_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_mul_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_div_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_maximum_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_minimum_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_squared_difference_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_prelu_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_floor_div_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);
void edgeq_pow_f32(const edgeq_float_params *p, const float *in0, const float *in1, float *out);

void edgeq_clamp_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_leaky_relu_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_abs_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_neg_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_square_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_hard_swish_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_floor_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_ceil_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_round_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_sqrt_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_rsqrt_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_exp_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_log_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_tanh_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_logistic_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_elu_f32(const edgeq_unary_f32_params *p, const float *in, float *out);
void edgeq_gelu_f32(const edgeq_unary_f32_params *p, const float *in, float *out);

#endif
