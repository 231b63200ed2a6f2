#include <string.h>

#include "kernels/edgeq_unary.h"

/* Types by number: 0 int8, 1 uint8, 2 int16, 3 int32, 5 bool, 6 int64. */

static int64_t read(const uint8_t *from, int32_t type) {
  int16_t half;
  int32_t word;
  int64_t wide;
  switch (type) {
  case 0:
    return (int8_t)*from;
  case 2:
    memcpy(&half, from, sizeof half);
    return half;
  case 3:
    memcpy(&word, from, sizeof word);
    return word;
  case 6:
    memcpy(&wide, from, sizeof wide);
    return wide;
  default:
    return *from;
  }
}

/* What doesn't fit keeps its lowest bits; of bool, whether it is zero. */
static void write(uint8_t *to, int32_t type, int32_t bytes, int64_t value) {
  const uint64_t bits = type == 5 ? value != 0 : (uint64_t)value;
  for (int32_t i = 0; i < bytes; ++i) to[i] = (uint8_t)(bits >> (8 * i));
}

void edgeq_cast(const edgeq_cast_params *p, const void *in, void *out) {
  const uint8_t *from = in;
  uint8_t *to = out;
  for (int32_t i = 0; i < p->count; ++i, from += p->in_bytes, to += p->out_bytes) {
    write(to, p->out_type, p->out_bytes, read(from, p->in_type));
  }
}
