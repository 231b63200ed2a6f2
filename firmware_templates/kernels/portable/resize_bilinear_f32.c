#include "kernels/edgeq_f32.h"

void edgeq_resize_bilinear_f32(const edgeq_resize_f32_params *p, const float *in, float *out) {
  for (int32_t n = 0; n < p->batches; ++n, in += p->in_h * p->in_w * p->depth) {
    for (int32_t y = 0; y < p->out_h; ++y) {
      const float *upper = in + p->rows[2 * y] * p->in_w * p->depth;
      const float *lower = in + p->rows[2 * y + 1] * p->in_w * p->depth;
      const float down = p->row_at[y];
      for (int32_t x = 0; x < p->out_w; ++x) {
        const int32_t left = p->columns[2 * x] * p->depth, right = p->columns[2 * x + 1] * p->depth;
        const float across = p->column_at[x];
        for (int32_t k = 0; k < p->depth; ++k) {
          *out++ = upper[left + k] * (1.0f - down) * (1.0f - across) + lower[left + k] * down * (1.0f - across) +
                   upper[right + k] * (1.0f - down) * across + lower[right + k] * down * across;
        }
      }
    }
  }
}
