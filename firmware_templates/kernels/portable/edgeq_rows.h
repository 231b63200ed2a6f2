/* Operators that run in stripes of rows: what is kept of a tensor from one stripe to the next. */
#ifndef EDGEQ_ROWS_H
#define EDGEQ_ROWS_H

#include <string.h>

#include "kernels/edgeq_kernels.h"

typedef struct {
  int32_t from_bytes, kept_bytes;
} edgeq_keep_rows_params;

/* The rows at a buffer's end that are needed again move to its beginning. */
static inline void edgeq_keep_rows(const edgeq_keep_rows_params *p, void *rows) {
  memmove(rows, (const uint8_t *)rows + p->from_bytes, (size_t)p->kept_bytes);
}

#endif
