/* exp, log, tanh, square root and rounding for float operators, without a C library. In double, so that a float made of
 * the result is off by one unit in the last place at most; slow on cores without it. */
#ifndef EDGEQ_MATH_H
#define EDGEQ_MATH_H

#include <string.h>

#include "kernels/edgeq_kernels.h"

/* 2^k, -1022 <= k <= 1023 */
static inline double edgeq_power_of_two(int32_t k) {
  const uint64_t bits = (uint64_t)(k + 1023) << 52;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* exp(k log(2)) is a power of two; what is left, at most log(2) / 2, goes through twelve terms of the series. */
static inline double edgeq_exp(double x) {
  if (x != x) return x;
  if (x > 700.0) return edgeq_power_of_two(1023) * 4.0;
  if (x < -700.0) return 0.0;
  const double steps = x * 1.4426950408889634;
  const int32_t k = (int32_t)(steps + (steps < 0.0 ? -0.5 : 0.5));
  const double r = (x - (double)k * 0.6931471803691238) - (double)k * 1.9082149292705877e-10; /* log(2) in two parts */
  double sum = 1.0;
  for (int32_t n = 12; n > 0; --n) sum = 1.0 + sum * r / (double)n;
  return sum * edgeq_power_of_two(k);
}

/* log(m 2^k) for m near 1 by the series of the inverse hyperbolic tangent. x <= 0 gives what floats have for it. */
static inline double edgeq_log(double x) {
  if (x != x) return x;
  const double large = edgeq_power_of_two(1023) * 4.0; /* infinity */
  if (x < 0.0) return large - large;
  if (x == 0.0) return -large;
  if (x == large) return x;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int32_t k = (int32_t)(bits >> 52) - 1023;
  bits = (bits & 0xFFFFFFFFFFFFFull) | (uint64_t)1023 << 52;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double s = (m - 1.0) / (m + 1.0), square = s * s;
  double sum = 0.0;
  for (int32_t n = 21; n > 0; n -= 2) sum = sum * square + 1.0 / (double)n;
  return 2.0 * s * sum + (double)k * 0.6931471805599453;
}

static inline double edgeq_tanh(double x) {
  if (x > 20.0) return 1.0;
  if (x < -20.0) return -1.0;
  if (x < 1e-4 && x > -1e-4) return x - x * x * x / 3.0;
  const double t = edgeq_exp(2.0 * x);
  return (t - 1.0) / (t + 1.0);
}

/* exp(x) - 1 */
static inline double edgeq_expm1(double x) {
  return x < 1e-5 && x > -1e-5 ? x + 0.5 * x * x : edgeq_exp(x) - 1.0;
}

/* The error function: its series of positive terms, 2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 5 ... 2n+1). */
static inline double edgeq_erf(double x) {
  if (x != x) return x;
  if (x > 6.0 || x < -6.0) return x > 0.0 ? 1.0 : -1.0;
  double term = x, sum = x;
  for (int32_t n = 1; n < 120; ++n) {
    term *= 2.0 * x * x / (double)(2 * n + 1);
    sum += term;
  }
  return 1.1283791670955126 * edgeq_exp(-x * x) * sum;
}

/* Newton's iteration from a guess by halving the exponent; exact once rounded to float. */
static inline float edgeq_sqrtf(float value) {
  if (!(value > 0.0f) || value - value != 0.0f) return value == 0.0f || value > 0.0f ? value : (value - value) / (value - value);
  const double x = (double)value;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits >> 1) + ((uint64_t)1023 << 51);
  double y;
  memcpy(&y, &bits, sizeof y);
  for (int32_t i = 0; i < 5; ++i) y = 0.5 * (y + x / y);
  return (float)y;
}

static inline float edgeq_floorf(float x) {
  if (!(x < 8388608.0f && x > -8388608.0f)) return x; /* whole already, or no number */
  const float whole = (float)(int32_t)x;
  return whole == x ? x : whole > x ? whole - 1.0f : whole;
}

static inline float edgeq_expf(float x) { return (float)edgeq_exp((double)x); }
static inline float edgeq_logf(float x) { return (float)edgeq_log((double)x); }
static inline float edgeq_tanhf(float x) { return (float)edgeq_tanh((double)x); }

static inline float edgeq_clampf(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

#endif
