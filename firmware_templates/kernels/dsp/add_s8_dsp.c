#include "kernels/edgeq_dsp.h"

/* x * multiplier / 2^31 rounded, then shifted right with ties away from zero; x already doubled. */
static inline int32_t scaled(int32_t x, int32_t multiplier, int32_t right) {
  const int32_t y = edgeq_smmulr(x, multiplier);
  return right ? (y + (y >> 31) + ((1 << right) >> 1)) >> right : y;
}

/* What each byte of one input contributes, doubled, by its unsigned value. */
static void tabulate(int32_t zero, edgeq_scale scale, int32_t left, int32_t table[256]) {
  for (int32_t value = INT8_MIN; value <= INT8_MAX; ++value) {
    const int32_t doubled = (value - zero) * (1 << (left + 1));
    table[(uint8_t)value] = 2 * scaled(doubled, scale.multiplier, -scale.shift);
  }
}

typedef struct {
  const int32_t *table0, *table1;
  int32_t multiplier, right, half, ties, zero, act_min, act_max;
} sum_of_two;

static inline int32_t sum(const sum_of_two *s, uint8_t a, uint8_t b) {
  const int32_t y = edgeq_smmulr(s->table0[a] + s->table1[b], s->multiplier);
  return ((y + ((y >> 31) & s->ties) + s->half) >> s->right) + s->zero;
}

/* Tensors of one shape, every shift to the right. Each input's scaling is worked out once for its 256 values; an
 * element then takes two look-ups and one rounding. out may be either input. scratch: two tables of 256 int32. */
void edgeq_add_s8_dsp(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out,
                      void *scratch) {
  int32_t *tables = scratch;
  tabulate(p->zero0, p->scale0, p->left_shift, tables);
  tabulate(p->zero1, p->scale1, p->left_shift, tables + 256);
  const int32_t right = -p->out_scale.shift;
  const sum_of_two s = {
      .table0 = tables,
      .table1 = tables + 256,
      .multiplier = p->out_scale.multiplier,
      .right = right,
      .half = (1 << right) >> 1,
      .ties = right ? -1 : 0,
      .zero = p->out_zero,
      .act_min = p->act_min,
      .act_max = p->act_max,
  };
  const uint8_t *a = (const uint8_t *)in0, *b = (const uint8_t *)in1;
  const int8_t *end = out + p->size[5];
  if (p->act_min == INT8_MIN && p->act_max == INT8_MAX) {
    while (out < end) *out++ = (int8_t)edgeq_ssat8(sum(&s, *a++, *b++));
  } else {
    while (out < end) *out++ = (int8_t)edgeq_clamp(sum(&s, *a++, *b++), s.act_min, s.act_max);
  }
}
