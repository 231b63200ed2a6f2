#include "kernels/edgeq_spatial.h"

/* Weights of 20 bits; the sum is rounded half away from zero. */
void edgeq_resize_bilinear_s16(const edgeq_resize_params *p, const int16_t *in, int16_t *out) {
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->depth) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      const int32_t *row = p->rows + 3 * y;
      const int16_t *upper = in + row[0] * p->in_w * p->depth, *lower = in + row[1] * p->in_w * p->depth;
      for (int32_t x = 0; x < p->out_w; ++x) {
        const int32_t *column = p->columns + 3 * x;
        const int32_t left = column[0] * p->depth, right = column[1] * p->depth;
        const int64_t a = (1024 - row[2]) * (1024 - column[2]), b = row[2] * (1024 - column[2]);
        const int64_t c = (1024 - row[2]) * column[2], d = row[2] * column[2];
        for (int32_t k = 0; k < p->depth; ++k) {
          const int64_t sum = upper[left + k] * a + lower[left + k] * b + upper[right + k] * c + lower[right + k] * d;
          *out++ = (int16_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
        }
      }
    }
  }
}
