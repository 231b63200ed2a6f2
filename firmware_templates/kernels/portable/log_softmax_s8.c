#include "kernels/edgeq_fixed_point.h"
#include "kernels/edgeq_reduce.h"

static inline int32_t shifted_left(int32_t x, int32_t exponent) {
  return exponent > 0 ? edgeq_saturating_shift(x, exponent) : x;
}

/* log(x) of x >= 1 in Q12.19, as Q5.26: x is brought near sqrt(sqrt(1/2)) by a power of two or one and a half, the
 * closer counts, and there a quotient of polynomials stands for the logarithm. */
static int32_t log_of(int32_t x) {
  const int32_t root = 1805811301 /* sqrt(sqrt(1/2)) */, half_root = 1518500250 /* sqrt(1/2) */;
  const int32_t quarter = 1 << 23; /* 1/4 in Q6.25 */
  const int32_t zeros = edgeq_leading_zeros((uint32_t)x);
  const int32_t whole = shifted_left(edgeq_high_mul(shifted_left(x, zeros - 1), half_root), 1);
  const int32_t whole_power = shifted_left(12 - zeros, 25) + quarter;
  const int32_t half_zeros = edgeq_leading_zeros((uint32_t)edgeq_high_mul(x, half_root)) - 1;
  const int32_t half = shifted_left(x, half_zeros);
  const int32_t half_power = shifted_left(12 - half_zeros, 25) - quarter;
  const int32_t r = whole < half ? whole : half;
  const int32_t power = whole_power > half_power ? whole_power : half_power;
  const int64_t sum = (int64_t)r + root;
  const int32_t mean = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
  const int32_t q = 2 * (r - root);
  const int32_t square = edgeq_high_mul(q, q);
  const int32_t over = edgeq_high_mul(q, r) + edgeq_high_mul(edgeq_high_mul(q, square), 117049297);
  const int32_t inner = 1057819769 + q + edgeq_high_mul(127690142, square);
  const int32_t under = edgeq_high_mul(mean, inner) + edgeq_high_mul(638450708, q);
  const int32_t fraction = edgeq_high_mul(edgeq_round_shift(over, 6), edgeq_one_over_one_plus(under));
  return edgeq_saturating_shift(edgeq_high_mul(power, 1488522236 /* log(2) */) + fraction, 1);
}

void edgeq_log_softmax_s8(const edgeq_log_softmax_params *p, const int8_t *in, int8_t *out) {
  for (int32_t row = 0; row < p->rows; ++row, in += p->depth, out += p->depth) {
    int32_t top = INT8_MIN;
    for (int32_t c = 0; c < p->depth; ++c) top = in[c] > top ? in[c] : top;
    int32_t sum = 0; /* Q12.19 */
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      if (diff >= p->diff_min) sum += edgeq_round_shift(edgeq_exp_negative(edgeq_requantize(diff, p->scale)), 12);
    }
    const int32_t log_sum = log_of(sum);
    const int32_t least = edgeq_requantize(log_sum + INT32_MIN, p->back);
    const int32_t bound = p->diff_min - 1 > least ? p->diff_min - 1 : least;
    for (int32_t c = 0; c < p->depth; ++c) {
      const int32_t diff = in[c] - top;
      int32_t value = INT8_MIN;
      if (diff > bound) {
        value = edgeq_round_shift(edgeq_requantize(diff, p->scale) - log_sum, 31 - 5 - 4) + INT8_MAX;
        value = edgeq_clamp(value, INT8_MIN, INT8_MAX);
      }
      out[c] = (int8_t)value;
    }
  }
}
