#include "kernels/edgeq_kernels.h"

typedef int8_t (*element)(const edgeq_binary_params *p, int32_t a, int32_t b);

/* Both inputs brought to a common scale with 20 bits of headroom, added, brought to the output's. */
static inline int8_t add(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = edgeq_requantize((a - p->zero0) * (1 << p->left_shift), p->scale0);
  const int32_t y = edgeq_requantize((b - p->zero1) * (1 << p->left_shift), p->scale1);
  const int32_t sum = edgeq_wrapping_add(edgeq_requantize(x + y, p->out_scale), p->out_zero);
  return (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
}

static inline int8_t mul(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t product = edgeq_requantize((a - p->zero0) * (b - p->zero1), p->out_scale);
  return (int8_t)edgeq_clamp(edgeq_wrapping_add(product, p->out_zero), p->act_min, p->act_max);
}

/* Five counted loops and a tight inner one; the sizes of unused dimensions are 1. The inner loop reads an
 * element before it writes one, so that the output may lie over an input of the same shape. */
static inline void broadcast(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out,
                             element op) {
  const int32_t *n = p->size, *s = p->stride0, *t = p->stride1;
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            const int8_t *x = in0 + (a * s[0] + b * s[1] + c * s[2] + d * s[3] + e * s[4]);
            const int8_t *y = in1 + (a * t[0] + b * t[1] + c * t[2] + d * t[3] + e * t[4]);
            for (int32_t f = 0; f < n[5]; ++f, x += s[5], y += t[5]) *out++ = op(p, *x, *y);
          }
}

void edgeq_add_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out) {
  broadcast(p, in0, in1, out, add);
}

void edgeq_mul_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out) {
  broadcast(p, in0, in1, out, mul);
}
