#include <string.h>

#include "kernels/edgeq_kernels.h"

/* Writes front to back: what lies before, the rows with their own borders, what lies behind. */
void edgeq_pad(const edgeq_pad_params *p, const void *in, void *out) {
  const uint8_t *from = in;
  uint8_t *to = out;
  const uint32_t item = (uint32_t)p->item_bytes;
  const int32_t *n = p->out_size, *s = p->size, *first = p->before;
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            const int inside = a >= first[0] && a < first[0] + s[0] && b >= first[1] && b < first[1] + s[1] &&
                               c >= first[2] && c < first[2] + s[2] && d >= first[3] && d < first[3] + s[3] &&
                               e >= first[4] && e < first[4] + s[4];
            for (int32_t f = 0; f < n[5]; ++f, to += item) {
              if (inside && f >= first[5] && f < first[5] + s[5]) {
                memcpy(to, from, item);
                from += item;
              } else {
                memcpy(to, &p->value, item);
              }
            }
          }
}

void edgeq_concat_part(const edgeq_concat_params *p, const void *in, void *out) {
  const uint8_t *from = in;
  uint8_t *to = (uint8_t *)out + p->offset_bytes;
  for (int32_t i = 0; i < p->outer; ++i, from += p->block_bytes, to += p->step_bytes) {
    memmove(to, from, (size_t)p->block_bytes);
  }
}
