/* gemmlowp's fixed-point exp(), reciprocal and inverse square root, which several kernels share. */
#ifndef EDGEQ_FIXED_POINT_H
#define EDGEQ_FIXED_POINT_H

#include "kernels/edgeq_kernels.h"

/* Before a loop whose turns are few or cheap beside the rest: clang would write it out several times over. */
#if defined(__clang__)
#define EDGEQ_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define EDGEQ_ROLLED
#endif

/* x * 2^exponent with saturation, exponent > 0. */
static inline int32_t edgeq_saturating_shift(int32_t x, int32_t exponent) {
  const int32_t limit = (int32_t)(((uint32_t)1 << (31 - exponent)) - 1u);
  if (x > limit) return INT32_MAX;
  if (x < -limit) return INT32_MIN;
  return (int32_t)((uint32_t)x << exponent);
}

/* exp(a) for a in [-1/4, 0) as Q0.31: Taylor around -1/8 to the fourth order. */
static inline int32_t edgeq_exp_quarter(int32_t a) {
  const int32_t x = a + (1 << 28); /* a + 1/8 */
  const int32_t x2 = edgeq_high_mul(x, x);
  const int32_t x3 = edgeq_high_mul(x2, x);
  const int32_t x4 = edgeq_high_mul(x2, x2);
  const int32_t x4_4 = edgeq_round_shift(x4, 2);
  const int32_t rest = edgeq_round_shift(edgeq_high_mul(x4_4 + x3, 715827883) + x2, 1); /* 1/3 */
  return 1895147668 + edgeq_high_mul(1895147668, x + rest);                            /* exp(-1/8) */
}

/* exp(a) for a <= 0 in Q5.26, as Q0.31: the quarter's exp times exp(-2^k) for each bit above it. */
static inline int32_t edgeq_exp_negative(int32_t a) {
  static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << 24; /* 1/4 in Q5.26 */
  if (a == 0) return INT32_MAX;
  const int32_t in_quarter = (a & (quarter - 1)) - quarter;
  int32_t result = edgeq_exp_quarter(in_quarter * (1 << 5));
  uint32_t bits = (uint32_t)(in_quarter - a) >> 24;
  for (const int32_t *f = factor; bits; bits >>= 1, ++f) {
    if (bits & 1) result = edgeq_high_mul(result, *f);
  }
  return result;
}

static inline int32_t edgeq_leading_zeros(uint32_t x) {
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
static inline int32_t edgeq_one_over_one_plus(int32_t a) {
  const int32_t half = (int32_t)(((uint32_t)a + ((uint32_t)1 << 31)) >> 1); /* (1 + a) / 2: gemmlowp rounds a + 1 - 2^-31 */
  int32_t x = 1515870810 + edgeq_high_mul(half, -1010580540);               /* 48/17, -32/17 in Q2.29 */
  EDGEQ_ROLLED
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t error = (1 << 29) - edgeq_high_mul(half, x);
    x += edgeq_saturating_shift(edgeq_high_mul(x, error), 2);
  }
  return edgeq_saturating_shift(x, 1);
}

/* 1 / sqrt(value), value > 0, as a factor: Newton's iteration with three integer bits on value scaled to 1/4..1. */
static inline edgeq_scale edgeq_inverse_square_root(int32_t value) {
  if (value <= 1) return (edgeq_scale){INT32_MAX, 0};
  int32_t right = 11;
  while (value >= (1 << 29)) {
    value /= 4;
    ++right;
  }
  const int32_t pairs = (edgeq_leading_zeros((uint32_t)value) - 1) / 2 - 1;
  right -= pairs;
  value = (int32_t)((uint32_t)value << (2 * pairs));
  const int32_t half = edgeq_round_shift(value >> 1, 1);
  const int32_t three_halves = (1 << 28) + (1 << 27);
  int32_t x = 1 << 28;
  for (int32_t i = 0; i < 5; ++i) {
    const int32_t cube = edgeq_saturating_shift(edgeq_high_mul(edgeq_high_mul(x, x), x), 6);
    x = edgeq_saturating_shift(edgeq_high_mul(three_halves, x) - edgeq_high_mul(half, cube), 3);
  }
  x = edgeq_high_mul(x, 1518500250); /* sqrt(1/2) */
  if (right < 0) return (edgeq_scale){(int32_t)((uint32_t)x << -right), 0};
  return (edgeq_scale){x, -right};
}

#endif
