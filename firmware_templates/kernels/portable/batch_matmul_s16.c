#include "kernels/edgeq_s16.h"
#include "kernels/edgeq_spatial.h"

static void product(const edgeq_batch_matmul_params *p, const int16_t *a, const int16_t *b, int16_t *out) {
  for (int32_t i = 0; i < p->rows; ++i) {
    for (int32_t j = 0; j < p->columns; ++j) {
      const int16_t *x = a + i * p->a_row, *y = b + j * p->b_column;
      int64_t sum = 0;
      for (int32_t k = 0; k < p->depth; ++k, x += p->a_step, y += p->b_step) {
        sum += *x * *y;
      }
      *out++ = (int16_t)edgeq_clamp(edgeq_requantize_wide(sum, p->scale), INT16_MIN, INT16_MAX);
    }
  }
}

void edgeq_batch_matmul_s16(const edgeq_batch_matmul_params *p, const int16_t *a, const int16_t *b, int16_t *out) {
  const int32_t *n = p->batch, *s = p->stride_a, *t = p->stride_b;
  for (int32_t i = 0; i < n[0]; ++i)
    for (int32_t j = 0; j < n[1]; ++j)
      for (int32_t k = 0; k < n[2]; ++k)
        for (int32_t l = 0; l < n[3]; ++l, out += p->rows * p->columns) {
          product(p, a + i * s[0] + j * s[1] + k * s[2] + l * s[3], b + i * t[0] + j * t[1] + k * t[2] + l * t[3], out);
        }
}
