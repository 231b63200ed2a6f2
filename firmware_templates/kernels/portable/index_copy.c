#include <string.h>

#include "kernels/edgeq_moves.h"

void edgeq_index_copy(const edgeq_index_copy_params *p, const void *in, void *out) {
  const int32_t *n = p->size, *of[6];
  uint8_t *to = out;
  of[0] = p->offsets;
  for (int32_t d = 1; d < 6; ++d) of[d] = of[d - 1] + n[d - 1];
  for (int32_t a = 0; a < n[0]; ++a)
    for (int32_t b = 0; b < n[1]; ++b)
      for (int32_t c = 0; c < n[2]; ++c)
        for (int32_t d = 0; d < n[3]; ++d)
          for (int32_t e = 0; e < n[4]; ++e) {
            const uint8_t *from = (const uint8_t *)in + of[0][a] + of[1][b] + of[2][c] + of[3][d] + of[4][e];
            for (int32_t f = 0; f < n[5]; ++f, to += p->block_bytes) {
              memmove(to, from + of[5][f], (size_t)p->block_bytes);
            }
          }
}
