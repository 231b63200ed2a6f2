/* Planes made larger: transposed convolutions and bilinear resizing. And products of matrices. */
#ifndef EDGEQ_SPATIAL_H
#define EDGEQ_SPATIAL_H

#include "kernels/edgeq_kernels.h"

/* For each row or column of the output: the two of the input that it lies between, and how far, in 1/1024. */
typedef struct {
  int32_t batches, in_h, in_w, depth, out_h, out_w;
  const int32_t *rows, *columns; /* [out][3] */
} edgeq_resize_params;

/* [m][k] times [k][n] for every batch; a stride of 0 repeats a matrix. */
typedef struct {
  int32_t batch[4];
  int32_t stride_a[4], stride_b[4];
  int32_t rows, depth, columns;
  int32_t a_row, a_step, b_step, b_column;
  int32_t a_zero, b_zero, out_zero;
  edgeq_scale scale;
} edgeq_batch_matmul_params;

void edgeq_transpose_conv_s8(const edgeq_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_resize_bilinear_s8(const edgeq_resize_params *p, const int8_t *in, int8_t *out);
void edgeq_resize_bilinear_s16(const edgeq_resize_params *p, const int16_t *in, int16_t *out);
void edgeq_batch_matmul_s8(const edgeq_batch_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out);
void edgeq_batch_matmul_s16(const edgeq_batch_matmul_params *p, const int16_t *a, const int16_t *b, int16_t *out);

#endif
