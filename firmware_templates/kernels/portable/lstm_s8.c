#include "kernels/edgeq_recurrent.h"

/* gemmlowp's fixed-point logistic() and tanh() on 16 bits: a number of k integer bits has 15 - k of fraction. */

static int32_t clamp16(int32_t x) { return edgeq_clamp(x, INT16_MIN, INT16_MAX); }

static int32_t mul16(int32_t a, int32_t b) {
  const int32_t product = a * b;
  return a == INT16_MIN && b == INT16_MIN ? INT16_MAX : (product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15);
}

/* exp(a) for a <= 0 with `whole` integer bits, as a fraction. */
static int32_t exp16(int32_t a, int32_t whole) {
  static const int16_t factor[7] = {25520, 19875, 12055, 4435, 600, 11, 0}; /* exp(-1/4), exp(-1/2), exp(-1), ... */
  const int32_t quarter = 1 << (13 - whole);
  const int32_t in_quarter = (a & (quarter - 1)) - quarter;
  const int32_t x = clamp16(in_quarter * (1 << whole)) + (1 << 12);
  const int32_t x2 = mul16(x, x), x3 = mul16(x2, x), x4 = mul16(x2, x2);
  const int32_t rest = edgeq_round_shift(mul16(edgeq_round_shift(x4, 2) + x3, 10923) + x2, 1);
  int32_t result = clamp16(28918 + mul16(28918, x + rest));
  for (int32_t k = 0; k < 7 && k - 2 < whole; ++k) {
    if ((in_quarter - a) & (1 << (13 - whole + k))) result = mul16(result, factor[k]);
  }
  if (whole > 5 && a < -(1 << (20 - whole))) result = 0;
  return a == 0 ? INT16_MAX : result;
}

/* Newton's iteration for 1 / (1 + a), a from 0 to 1, with two integer bits. */
static int32_t newton16(int32_t a) {
  const int32_t half = (a + INT16_MAX + 1) / 2;
  int32_t x = 23130 + mul16(half, -15420);
  for (int32_t i = 0; i < 3; ++i) x += clamp16(mul16(x, (1 << 13) - mul16(half, x)) * 4);
  return x;
}

static int16_t logistic16(int32_t a) {
  const int32_t positive = clamp16(newton16(exp16(a > 0 ? -a : a, 3)) * 2);
  return (int16_t)(a == 0 ? 1 << 14 : a > 0 ? positive : INT16_MAX - positive);
}

static int16_t tanh16(int32_t a, int32_t whole) {
  const int32_t size = clamp16((newton16(exp16(a < 0 ? a : -a, whole + 1)) - (1 << 13)) * 4);
  return (int16_t)(a == 0 ? 0 : a < 0 ? -size : size);
}

static int32_t product_sum(const int8_t *weights, const int8_t *values, int32_t count, int32_t sum, edgeq_scale scale) {
  for (int32_t k = 0; k < count; ++k) sum = edgeq_wrapping_add(sum, weights[k] * values[k]);
  return edgeq_requantize(sum, scale);
}

static void step(const edgeq_lstm_params *p, const int8_t *in, int8_t *hidden, int16_t *cell, int16_t *gates) {
  const int32_t n = p->units;
  for (int32_t g = 0; g < 4; ++g) {
    for (int32_t u = 0; u < n; ++u) {
      const int32_t at = g * n + u;
      int32_t sum = product_sum(p->weights + at * p->inputs, in, p->inputs, p->bias[at], p->scales[2 * g]);
      sum = clamp16(sum);
      sum = clamp16(sum + product_sum(p->recurrent + at * n, hidden, n, p->recurrent_bias[at], p->scales[2 * g + 1]));
      gates[at] = g == 2 ? tanh16(sum, 3) : logistic16(sum);
    }
  }
  for (int32_t u = 0; u < n; ++u) {
    const int32_t kept = (int16_t)edgeq_round_shift(gates[n + u] * cell[u], 15);
    const int32_t added = (int16_t)edgeq_round_shift(gates[u] * gates[2 * n + u], 30 + p->cell_exponent);
    int32_t state = clamp16(kept + added);
    if (p->clip > 0) state = edgeq_clamp(state, -p->clip, p->clip);
    cell[u] = (int16_t)state;
    const int32_t value = edgeq_requantize(gates[3 * n + u] * tanh16(state, 15 + p->cell_exponent), p->hidden_scale);
    hidden[u] = (int8_t)edgeq_clamp(value + p->hidden_zero, INT8_MIN, INT8_MAX);
  }
}

void edgeq_lstm_s8(const edgeq_lstm_params *p, const int8_t *in, int8_t *hidden, int16_t *cell, int8_t *out,
                   int16_t *gates) {
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t t = 0; t < p->steps; ++t) {
      const int32_t at = p->time_major ? t * p->batches + n : n * p->steps + t;
      step(p, in + at * p->inputs, hidden + n * p->units, cell + n * p->units, gates);
      for (int32_t u = 0; u < p->units; ++u) out[at * p->units + u] = hidden[n * p->units + u];
    }
  }
}
