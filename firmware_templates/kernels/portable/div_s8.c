#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"
#include "kernels/edgeq_fixed_point.h"

/* The divisor's reciprocal in Q0.31 by Newton's steps, the dividend moved up as far as it goes, one rounding at the end.
 * By zero, which the reference refuses, the quotient is zero. */
static inline int8_t quotient(const edgeq_binary_params *p, int32_t a, int32_t b) {
  const int32_t x = b < p->zero1 ? p->zero0 - a : a - p->zero0, y = b < p->zero1 ? p->zero1 - b : b - p->zero1;
  int32_t scaled = 0;
  if (y != 0) {
    const int32_t zeros = edgeq_leading_zeros((uint32_t)y);
    const int32_t inverse = edgeq_one_over_one_plus((int32_t)(((uint32_t)y << zeros) - 0x80000000u));
    const int32_t headroom = edgeq_leading_zeros((uint32_t)(x < 0 ? ~x : x)) - 1;
    const int32_t right = 31 - zeros + headroom - p->out_scale.shift;
    const int32_t fine = edgeq_high_mul((int32_t)((uint32_t)x << headroom), inverse);
    scaled = right > 31 ? 0 : edgeq_round_shift(edgeq_high_mul(fine, p->out_scale.multiplier), right);
  }
  return (int8_t)edgeq_clamp(edgeq_wrapping_add(scaled, p->out_zero), p->act_min, p->act_max);
}

EDGEQ_BROADCAST(edgeq_div_s8, edgeq_binary_params, int8_t, int8_t, quotient)
