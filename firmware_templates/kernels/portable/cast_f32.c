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

/* From float: towards zero; what lies beyond the type, where the reference is undefined, saturates; NaN gives 0. */
static int64_t whole(float x, int32_t type, int32_t bytes) {
  if (type == 5) return x != 0.0f;
  if (x != x) return 0;
  const float most = type == 1 ? 256.0f : bytes == 1 ? 128.0f : bytes == 2 ? 32768.0f : bytes == 4 ? 2147483648.0f
                                                                                         : 9223372036854775808.0f;
  const float least = type == 1 ? -1.0f : -most;
  if (x >= most) return type == 1 ? 255 : (int64_t)(((uint64_t)1 << (8 * bytes - 1)) - 1u);
  if (type == 1 ? x <= least : x < least) return type == 1 ? 0 : -(int64_t)((uint64_t)1 << (8 * bytes - 2)) * 2;
  return (int64_t)x;
}

/* What doesn't fit keeps its lowest bits; of bool, whether it is zero. */
static void write(uint8_t *to, int32_t type, int32_t bytes, int64_t value) {
  const uint64_t bits = type == 5 ? value != 0 : (uint64_t)value;
  for (int32_t i = 0; i < bytes; ++i) to[i] = (uint8_t)(bits >> (8 * i));
}

void edgeq_cast_from_f32(const edgeq_cast_params *p, const void *in, void *out) {
  const float *from = in;
  uint8_t *to = out;
  for (int32_t i = 0; i < p->count; ++i, to += p->out_bytes) {
    write(to, p->out_type, p->out_bytes, whole(from[i], p->out_type, p->out_bytes));
  }
}

void edgeq_cast_to_f32(const edgeq_cast_params *p, const void *in, void *out) {
  const uint8_t *from = in;
  float *to = out;
  for (int32_t i = 0; i < p->count; ++i, from += p->in_bytes) to[i] = (float)read(from, p->in_type);
}
