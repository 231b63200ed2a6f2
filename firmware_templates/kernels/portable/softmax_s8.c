#include "kernels/edgeq_kernels.h"

/* Fixed-point softmax of gemmlowp's arithmetic: exp() of non-positive Q5.26 numbers, sums in Q12.19,
 * a reciprocal by three Newton steps, results in units of 1/256 from -128. */

/* x * 2^exponent with saturation, exponent > 0. */
static int32_t saturating_shift(int32_t x, int32_t exponent) {
  const int32_t limit = (int32_t)(((uint32_t)1 << (31 - exponent)) - 1u);
  if (x > limit) return INT32_MAX;
  if (x < -limit) return INT32_MIN;
  return (int32_t)((uint32_t)x << exponent);
}

/* exp(a) for a in [-1/4, 0) as Q0.31: Taylor around -1/8 to the fourth order. */
static int32_t exp_quarter(int32_t a) {
  const int32_t x = a + (1 << 28); /* a + 1/8 */
  const int32_t x2 = edgeq_high_mul(x, x);
  const int32_t x3 = edgeq_high_mul(x2, x);
  const int32_t x4 = edgeq_high_mul(x2, x2);
  const int32_t x4_4 = edgeq_round_shift(x4, 2);
  const int32_t rest = edgeq_round_shift(edgeq_high_mul(x4_4 + x3, 715827883) + x2, 1); /* 1/3 */
  return 1895147668 + edgeq_high_mul(1895147668, x + rest);                            /* exp(-1/8) */
}

/* exp(a) for a <= 0 in Q5.26, as Q0.31: the quarter's exp times exp(-2^k) for each bit above it. */
static int32_t exp_negative(int32_t a) {
  static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << 24; /* 1/4 in Q5.26 */
  const int32_t in_quarter = (a & (quarter - 1)) - quarter;
  int32_t result = exp_quarter(in_quarter * (1 << 5));
  const int32_t remainder = in_quarter - a;
  for (int32_t k = 0; k < 7; ++k) {
    if (remainder & ((int32_t)1 << (24 + k))) result = edgeq_high_mul(result, factor[k]);
  }
  return a == 0 ? INT32_MAX : result;
}

static int32_t leading_zeros(uint32_t x) {
#if defined(__GNUC__)
  return x ? __builtin_clz(x) : 32;
#else
  int32_t n = 0;
  if (!x) return 32;
  while (!(x & 0x80000000u)) {
    x <<= 1;
    ++n;
  }
  return n;
#endif
}

/* 1 / (1 + a) for a in [0, 1) as Q0.31: Newton's iteration in Q2.29 from 48/17 - 32/17 d. */
static int32_t one_over_one_plus(int32_t a) {
  const int64_t sum = (int64_t)a + INT32_MAX;
  const int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2); /* (1 + a) / 2, rounded as gemmlowp does */
  int32_t x = 1515870810 + edgeq_high_mul(half, -1010580540);      /* 48/17, -32/17 in Q2.29 */
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - edgeq_high_mul(half, x);
    x += saturating_shift(edgeq_high_mul(x, error), 2);
  }
  return saturating_shift(x, 1);
}

/* edgeq_round_shift for exponents up to 35, which 512 and more nearly equal elements reach. The reference shifts by
 * them too, which is undefined in C; this is what its build for x86 makes of it, nonsense included. */
static int32_t round_far(int32_t x, int32_t exponent) {
  if (exponent < 32) return edgeq_round_shift(x, exponent);
  return edgeq_wrapping_add(x >> (exponent - 32), x > (x < 0 ? 0 : -1) ? 1 : 0);
}

/* At most 8191 elements a row: their sum fits 32 bits. */
void edgeq_softmax_s8(const edgeq_softmax_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t top = INT8_MIN;
    for (int32_t c = 0; c < p->depth; ++c) top = in[c] > top ? in[c] : top;
    uint32_t sum = 0; /* Q12.19 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      if (diff < p->diff_min) continue;
      const int32_t scaled = edgeq_high_mul((int32_t)((uint32_t)diff << p->left_shift), p->multiplier);
      sum += (uint32_t)edgeq_round_shift(exp_negative(scaled), 12);
    }
    const int32_t headroom = leading_zeros(sum);
    const int32_t over_unit = 12 - headroom;
    const int32_t fraction = (int32_t)((sum << headroom) - ((uint32_t)1 << 31));
    const int32_t reciprocal = one_over_one_plus(fraction);
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      int32_t value = INT8_MIN;
      if (diff >= p->diff_min) {
        const int32_t scaled = edgeq_high_mul((int32_t)((uint32_t)diff << p->left_shift), p->multiplier);
        const int32_t exact = edgeq_high_mul(reciprocal, exp_negative(scaled));
        value = edgeq_wrapping_add(round_far(exact, over_unit + 31 - 8), INT8_MIN);
        value = edgeq_clamp(value, INT8_MIN, INT8_MAX);
      }
      out[c] = (int8_t)value;
    }
  }
}
