#include <string.h>

#include "kernels/edgeq_moves.h"

/* An index that names nothing, which the reference refuses, becomes the nearest that does. */
static inline int32_t within(int64_t index, int32_t size) {
  return index < 0 ? 0 : index >= size ? size - 1 : (int32_t)index;
}

#define EDGEQ_GATHER(NAME, INDEX)                                                                     \
  void NAME(const edgeq_gather_params *p, const void *in, const INDEX *indices, void *out) {    \
    const uint8_t *from = in;                                                                   \
    uint8_t *to = out;                                                                          \
    for (int32_t b = 0; b < p->batches; ++b, indices += p->count) {                             \
      for (int32_t i = 0; i < p->outer; ++i, from += p->axis * p->block_bytes) {                \
        for (int32_t k = 0; k < p->count; ++k, to += p->block_bytes) {                          \
          const uint8_t *block = from + within(indices[k], p->axis) * p->block_bytes;           \
          memcpy(to, block, (size_t)p->block_bytes);                                            \
        }                                                                                       \
      }                                                                                         \
    }                                                                                           \
  }

EDGEQ_GATHER(edgeq_gather_s32, int32_t)
EDGEQ_GATHER(edgeq_gather_s64, int64_t)

#define EDGEQ_GATHERND(NAME, INDEX)                                                                  \
  void NAME(const edgeq_gather_nd_params *p, const void *in, const INDEX *indices, void *out) { \
    uint8_t *to = out;                                                                          \
    for (int32_t row = 0; row < p->rows; ++row, to += p->block_bytes) {                         \
      int32_t block = 0;                                                                        \
      for (int32_t d = 0; d < p->depth; ++d) {                                                  \
        block = block * p->size[d] + within(*indices++, p->size[d]);                            \
      }                                                                                         \
      memcpy(to, (const uint8_t *)in + block * p->block_bytes, (size_t)p->block_bytes);         \
    }                                                                                           \
  }

EDGEQ_GATHERND(edgeq_gather_nd_s32, int32_t)
EDGEQ_GATHERND(edgeq_gather_nd_s64, int64_t)
