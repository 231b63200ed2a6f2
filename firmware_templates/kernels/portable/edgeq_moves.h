/* Operators that move elements and compute nothing. */
#ifndef EDGEQ_MOVES_H
#define EDGEQ_MOVES_H

#include "kernels/edgeq_kernels.h"

/* A block of elements from one place to another. Strides and firsts in elements; strides may be 0 or negative. */
typedef struct {
  int32_t size[6];
  int32_t in_stride[6], out_stride[6];
  int32_t in_first, out_first;
  int32_t item_bytes;
} edgeq_copy_params;

typedef struct {
  int32_t count, item_bytes;
} edgeq_fill_params;

/* out[i, j, ...] = in[offsets of i + of j + ...]: what each index of each dimension adds, dimension after dimension. */
typedef struct {
  int32_t size[6];
  const int32_t *offsets; /* bytes */
  int32_t block_bytes;
} edgeq_index_copy_params;

/* Slices of `axis` that indices name, each batch's by indices of its own. */
typedef struct {
  int32_t batches, outer, axis, count, block_bytes;
} edgeq_gather_params;

/* Blocks that rows of `depth` indices name. */
typedef struct {
  int32_t rows, depth;
  int32_t size[6]; /* of the indexed dimensions */
  int32_t block_bytes;
} edgeq_gather_nd_params;

void edgeq_copy(const edgeq_copy_params *p, const void *in, void *out);
void edgeq_fill(const edgeq_fill_params *p, const void *value, void *out);
void edgeq_index_copy(const edgeq_index_copy_params *p, const void *in, void *out);
void edgeq_gather_s32(const edgeq_gather_params *p, const void *in, const int32_t *indices, void *out);
void edgeq_gather_s64(const edgeq_gather_params *p, const void *in, const int64_t *indices, void *out);
void edgeq_gather_nd_s32(const edgeq_gather_nd_params *p, const void *in, const int32_t *indices, void *out);
void edgeq_gather_nd_s64(const edgeq_gather_nd_params *p, const void *in, const int64_t *indices, void *out);

#endif
