/* Element-wise operators of two inputs, with broadcasting. Sizes are the output's, a stride of 0 repeats. */
#ifndef EDGEQ_BINARY_H
#define EDGEQ_BINARY_H

#include "kernels/edgeq_kernels.h"

/* Which of "less", "equal", "greater" (and, of floats, "not comparable") count as true. */
typedef struct {
  int32_t size[6];
  int32_t stride0[6], stride1[6];
  int32_t zero0, zero1; /* int8 only: real values are compared */
  edgeq_scale scale0, scale1;
  int32_t relation; /* 1 less, 2 equal, 4 greater, 8 not comparable */
} edgeq_compare_params;

typedef struct {
  int32_t size[6];
  int32_t stride0[6], stride1[6];
  int32_t act_min, act_max;
} edgeq_integer_params;

typedef struct {
  int32_t size[6];
  int32_t stride0[6], stride1[6];
  float act_min, act_max;
} edgeq_float_params;

typedef struct {
  int32_t size[6];
  int32_t stride_if[6], stride0[6], stride1[6];
  int32_t item_bytes;
} edgeq_select_params;

typedef struct {
  int32_t count;
} edgeq_not_params;

void edgeq_sub_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_div_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_prelu_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_squared_difference_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);

void edgeq_maximum_s8(const edgeq_integer_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_minimum_s8(const edgeq_integer_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_maximum_s16(const edgeq_integer_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_minimum_s16(const edgeq_integer_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_maximum_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_minimum_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);

void edgeq_add_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_sub_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_mul_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_div_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_floor_div_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_floor_mod_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_pow_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);
void edgeq_squared_difference_s32(const edgeq_integer_params *p, const int32_t *in0, const int32_t *in1, int32_t *out);

void edgeq_floor_div_s8(const edgeq_integer_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_floor_mod_s8(const edgeq_integer_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_floor_div_s16(const edgeq_integer_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);
void edgeq_floor_mod_s16(const edgeq_integer_params *p, const int16_t *in0, const int16_t *in1, int16_t *out);

void edgeq_compare_s8(const edgeq_compare_params *p, const int8_t *in0, const int8_t *in1, uint8_t *out);
void edgeq_compare_s16(const edgeq_compare_params *p, const int16_t *in0, const int16_t *in1, uint8_t *out);
void edgeq_compare_s32(const edgeq_compare_params *p, const int32_t *in0, const int32_t *in1, uint8_t *out);
void edgeq_compare_s64(const edgeq_compare_params *p, const int64_t *in0, const int64_t *in1, uint8_t *out);
void edgeq_compare_b8(const edgeq_compare_params *p, const uint8_t *in0, const uint8_t *in1, uint8_t *out);
void edgeq_compare_f32(const edgeq_compare_params *p, const float *in0, const float *in1, uint8_t *out);

void edgeq_logical_and(const edgeq_integer_params *p, const uint8_t *in0, const uint8_t *in1, uint8_t *out);
void edgeq_logical_or(const edgeq_integer_params *p, const uint8_t *in0, const uint8_t *in1, uint8_t *out);
void edgeq_logical_not(const edgeq_not_params *p, const uint8_t *in, uint8_t *out);
void edgeq_select(const edgeq_select_params *p, const uint8_t *condition, const void *in0, const void *in1, void *out);

#endif
