#include "kernels/edgeq_s16.h"

static int32_t leading_zeros(uint32_t x) {
  int32_t n = 0;
  if (!x) return 32;
  while (!(x & 0x80000000u)) {
    x <<= 1;
    ++n;
  }
  return n;
}

/* exp() and the reciprocal of the sum from tables; the exponentials wait in the output. In place too: an element is
 * read before it is written. */
void edgeq_softmax_s16(const edgeq_softmax_s16_params *p, const int16_t *in, int16_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t top = INT16_MIN;
    for (int32_t c = 0; c < p->depth; ++c) top = in[c] > top ? in[c] : top;
    int32_t sum = 0; /* Q16.15 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t scaled = edgeq_wrapping_add(edgeq_requantize(in[c] - top, p->scale), INT16_MAX);
      out[c] = edgeq_interpolate(p->exp, edgeq_clamp(scaled, INT16_MIN, INT16_MAX));
      sum += out[c];
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t shifted = (int32_t)((((int64_t)sum << (headroom - 1)) + (1 << 13)) >> 14);
    const int32_t centred = edgeq_clamp(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX);
    const int32_t reciprocal = edgeq_interpolate(p->reciprocal, centred);
    const int32_t right = 31 - headroom;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int64_t value = ((int64_t)out[c] * reciprocal + ((int64_t)1 << (right - 1))) >> right;
      out[c] = (int16_t)edgeq_clamp((int32_t)value, 0, INT16_MAX);
    }
  }
}
