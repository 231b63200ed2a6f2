#include <string.h>

#include "kernels/edgeq_moves.h"

static void copy_row(const uint8_t *from, uint8_t *to, int32_t count, int32_t in_step, int32_t out_step, int32_t item) {
  if (in_step == item && out_step == item) {
    memcpy(to, from, (size_t)(count * item));
  } else if (item == 1) {
    for (int32_t i = 0; i < count; ++i, from += in_step, to += out_step) *to = *from;
  } else {
    for (int32_t i = 0; i < count; ++i, from += in_step, to += out_step) memcpy(to, from, (size_t)item);
  }
}

void edgeq_copy(const edgeq_copy_params *p, const void *in, void *out) {
  const int32_t item = p->item_bytes;
  const uint8_t *from = (const uint8_t *)in + p->in_first * item;
  uint8_t *to = (uint8_t *)out + p->out_first * item;
  const int32_t *n = p->size, *s = p->in_stride, *t = p->out_stride;
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            const int32_t i = a * s[0] + b * s[1] + c * s[2] + d * s[3] + e * s[4];
            const int32_t o = a * t[0] + b * t[1] + c * t[2] + d * t[3] + e * t[4];
            copy_row(from + i * item, to + o * item, n[5], s[5] * item, t[5] * item, item);
          }
}

void edgeq_fill(const edgeq_fill_params *p, const void *value, void *out) {
  uint8_t *to = out;
  for (int32_t i = 0; i < p->count; ++i, to += p->item_bytes) memcpy(to, value, (size_t)p->item_bytes);
}
