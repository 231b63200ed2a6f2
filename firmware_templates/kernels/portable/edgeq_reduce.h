/* Operators over rows or whole dimensions: reductions, places of extremes, running sums, the largest. */
#ifndef EDGEQ_REDUCE_H
#define EDGEQ_REDUCE_H

#include "kernels/edgeq_kernels.h"

/* Over the dimensions of which `reduce` is 1. */
typedef struct {
  int32_t size[6];
  int32_t reduce[6];
} edgeq_reduce_params;

typedef struct {
  int32_t outer, axis, inner;
  int32_t out_words; /* of an index: 1 or, of int64, 2 */
} edgeq_axis_params;

typedef struct {
  int32_t outer, axis, inner;
  int32_t exclusive, reverse;
} edgeq_cumsum_params;

typedef struct {
  int32_t rows, depth, k;
} edgeq_topk_params;

typedef struct {
  int32_t rows, depth;
  int32_t in_zero;
} edgeq_l2_normalization_params;

typedef struct {
  int32_t rows, depth;
  edgeq_scale scale; /* to Q5.26 */
  edgeq_scale back;  /* and from it */
  int32_t diff_min;
} edgeq_log_softmax_params;

void edgeq_reduce_max_s8(const edgeq_reduce_params *p, const int8_t *in, int8_t *out);
void edgeq_reduce_min_s8(const edgeq_reduce_params *p, const int8_t *in, int8_t *out);
void edgeq_reduce_max_s16(const edgeq_reduce_params *p, const int16_t *in, int16_t *out);
void edgeq_reduce_min_s16(const edgeq_reduce_params *p, const int16_t *in, int16_t *out);
void edgeq_reduce_max_s32(const edgeq_reduce_params *p, const int32_t *in, int32_t *out);
void edgeq_reduce_min_s32(const edgeq_reduce_params *p, const int32_t *in, int32_t *out);
void edgeq_reduce_max_f32(const edgeq_reduce_params *p, const float *in, float *out);
void edgeq_reduce_min_f32(const edgeq_reduce_params *p, const float *in, float *out);
void edgeq_sum_s32(const edgeq_reduce_params *p, const int32_t *in, int32_t *out);
void edgeq_arg_max_s8(const edgeq_axis_params *p, const int8_t *in, int32_t *out);
void edgeq_arg_min_s8(const edgeq_axis_params *p, const int8_t *in, int32_t *out);
void edgeq_arg_max_s32(const edgeq_axis_params *p, const int32_t *in, int32_t *out);
void edgeq_arg_min_s32(const edgeq_axis_params *p, const int32_t *in, int32_t *out);
void edgeq_arg_max_f32(const edgeq_axis_params *p, const float *in, int32_t *out);
void edgeq_arg_min_f32(const edgeq_axis_params *p, const float *in, int32_t *out);
void edgeq_cumsum_s32(const edgeq_cumsum_params *p, const int32_t *in, int32_t *out);
void edgeq_topk_s8(const edgeq_topk_params *p, const int8_t *in, int8_t *values, int32_t *indices);
void edgeq_topk_s32(const edgeq_topk_params *p, const int32_t *in, int32_t *values, int32_t *indices);
void edgeq_topk_f32(const edgeq_topk_params *p, const float *in, float *values, int32_t *indices);
void edgeq_l2_normalization_s8(const edgeq_l2_normalization_params *p, const int8_t *in, int8_t *out);
void edgeq_log_softmax_s8(const edgeq_log_softmax_params *p, const int8_t *in, int8_t *out);

#endif
