#include "kernels/edgeq_f32.h"

static void product(const edgeq_batch_matmul_params *p, const float *a, const float *b, float *out) {
  for (int32_t i = 0; i < p->rows; ++i) {
    for (int32_t j = 0; j < p->columns; ++j) {
      const float *x = a + i * p->a_row, *y = b + j * p->b_column;
      float sum = 0.0f;
      for (int32_t k = 0; k < p->depth; ++k, x += p->a_step, y += p->b_step) {
        sum += *x * *y;
      }
      *out++ = sum;
    }
  }
}

void edgeq_batch_matmul_f32(const edgeq_batch_matmul_params *p, const float *a, const float *b, float *out) {
  const int32_t *n = p->batch, *s = p->stride_a, *t = p->stride_b;
  for (int32_t i = 0; i < n[0]; ++i)
    for (int32_t j = 0; j < n[1]; ++j)
      for (int32_t k = 0; k < n[2]; ++k)
        for (int32_t l = 0; l < n[3]; ++l, out += p->rows * p->columns) {
          product(p, a + i * s[0] + j * s[1] + k * s[2] + l * s[3], b + i * t[0] + j * t[1] + k * t[2] + l * t[3], out);
        }
}
