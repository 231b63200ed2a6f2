#include "kernels/edgeq_dsp.h"

/* acc + (m * low half of x >> 16), and of the high half. */
static inline int32_t low_product(int32_t m, uint32_t x, int32_t acc) {
  int32_t result;
  __asm__("smlawb %0, %1, %2, %3" : "=r"(result) : "r"(m), "r"(x), "r"(acc));
  return result;
}

static inline int32_t high_product(int32_t m, uint32_t x, int32_t acc) {
  int32_t result;
  __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(m), "r"(x), "r"(acc));
  return result;
}

static inline int8_t output(int32_t sum) {
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #21" : "=r"(result) : "r"(sum));
  return (int8_t)result;
}

/* Tensors of one shape, no clamp tighter than int8: four elements a time, bytes as the high halves of half words.
 * out may be either input. */
void edgeq_add_weighted_s8_dsp(const edgeq_dsp_add_params *p, const int8_t *in0, const int8_t *in1, int8_t *out) {
  const int32_t m0 = p->m0, m1 = p->m1, constant = p->constant;
  const int8_t *const end = out + p->count / 4 * 4;
  for (; out != end; in0 += 4, in1 += 4, out += 4) {
    const uint32_t a = edgeq_load4(in0), b = edgeq_load4(in1);
    const uint32_t a13 = a & 0xff00ff00u, b13 = b & 0xff00ff00u;
    const uint32_t a02 = a << 8 & 0xff00ff00u, b02 = b << 8 & 0xff00ff00u;
    out[0] = output(low_product(m1, b02, low_product(m0, a02, constant)));
    out[1] = output(low_product(m1, b13, low_product(m0, a13, constant)));
    out[2] = output(high_product(m1, b02, high_product(m0, a02, constant)));
    out[3] = output(high_product(m1, b13, high_product(m0, a13, constant)));
  }
  for (int32_t i = 0; i < p->count % 4; ++i) {
    const uint32_t a = (uint32_t)in0[i] << 8, b = (uint32_t)in1[i] << 8;
    out[i] = output(low_product(m1, b, low_product(m0, a, constant)));
  }
}
