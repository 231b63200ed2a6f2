#include <string.h>

#include "kernels/edgeq_binary.h"

void edgeq_select(const edgeq_select_params *p, const uint8_t *condition, const void *in0, const void *in1, void *out) {
  const int32_t *n = p->size, *r = p->stride_if, *s = p->stride0, *t = p->stride1, item = p->item_bytes;
  uint8_t *to = out;
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            const uint8_t *test = condition + (a * r[0] + b * r[1] + c * r[2] + d * r[3] + e * r[4]);
            const uint8_t *x = (const uint8_t *)in0 + (a * s[0] + b * s[1] + c * s[2] + d * s[3] + e * s[4]) * item;
            const uint8_t *y = (const uint8_t *)in1 + (a * t[0] + b * t[1] + c * t[2] + d * t[3] + e * t[4]) * item;
            for (int32_t f = 0; f < n[5]; ++f, to += item, test += r[5], x += s[5] * item, y += t[5] * item) {
              memcpy(to, *test ? x : y, (size_t)item);
            }
          }
}
