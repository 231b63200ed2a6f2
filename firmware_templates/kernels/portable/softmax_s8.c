#include "kernels/edgeq_fixed_point.h"

/* Fixed-point softmax of gemmlowp's arithmetic: exp() of non-positive Q5.26 numbers, sums in Q12.19,
 * a reciprocal by three Newton steps, results in units of 1/256 from -128. */

/* edgeq_round_shift for exponents up to 35, which 512 and more nearly equal elements reach. The reference shifts by
 * them too, which is undefined in C; this is what its build for x86 makes of it, nonsense included. */
static int32_t round_far(int32_t x, int32_t exponent) {
  if (exponent < 32) return edgeq_round_shift(x, exponent);
  return edgeq_wrapping_add(x >> (exponent - 32), x > (x < 0 ? 0 : -1) ? 1 : 0);
}

/* exp() of so many steps of the input. A function of its own: it is called twice, and large. */
__attribute__((noinline)) static int32_t exponential(const edgeq_softmax_params *p, int32_t steps) {
  return edgeq_exp_negative(edgeq_high_mul((int32_t)((uint32_t)steps << p->left_shift), p->multiplier));
}

/* At most 8191 elements a row: their sum fits 32 bits. */
void edgeq_softmax_s8(const edgeq_softmax_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t top = INT8_MIN;
    EDGEQ_ROLLED
    for (int32_t c = 0; c < p->depth; ++c) top = in[c] > top ? in[c] : top;
    uint32_t sum = 0; /* Q12.19 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      if (diff < p->diff_min) continue;
      sum += (uint32_t)edgeq_round_shift(exponential(p, diff), 12);
    }
    const int32_t headroom = edgeq_leading_zeros(sum);
    const int32_t over_unit = 12 - headroom;
    const int32_t fraction = (int32_t)((sum << headroom) - ((uint32_t)1 << 31));
    const int32_t reciprocal = edgeq_one_over_one_plus(fraction);
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      int32_t value = INT8_MIN;
      if (diff >= p->diff_min) {
        const int32_t exact = edgeq_high_mul(reciprocal, exponential(p, diff));
        value = edgeq_wrapping_add(round_far(exact, over_unit + 31 - 8), INT8_MIN);
        value = edgeq_clamp(value, INT8_MIN, INT8_MAX);
      }
      out[c] = (int8_t)value;
    }
  }
}
