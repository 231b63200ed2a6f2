/* Operators of one input, element by element. */
#ifndef EDGEQ_UNARY_H
#define EDGEQ_UNARY_H

#include "kernels/edgeq_kernels.h"

/* int8: the output of every input. int16: 513 values at every 128th input, with lines between them. */
typedef struct {
  int32_t count;
  const int8_t *table; /* [256]; from input -128 on */
} edgeq_lookup_s8_params;

typedef struct {
  int32_t count;
  const int16_t *table; /* [513] */
} edgeq_lookup_s16_params;

/* LEAKY_RELU and ABS: what is negative has a factor of its own. */
typedef struct {
  int32_t count;
  edgeq_scale positive, negative;
  int32_t negate; /* 1: the negative side changes its sign */
} edgeq_slopes_params;

typedef struct {
  int32_t count;
  int32_t in_type, out_type;
  int32_t in_bytes, out_bytes;
} edgeq_cast_params;

void edgeq_cast(const edgeq_cast_params *p, const void *in, void *out);
void edgeq_cast_from_f32(const edgeq_cast_params *p, const void *in, void *out);
void edgeq_cast_to_f32(const edgeq_cast_params *p, const void *in, void *out);
void edgeq_lookup_s8(const edgeq_lookup_s8_params *p, const int8_t *in, int8_t *out);
void edgeq_lookup_s16(const edgeq_lookup_s16_params *p, const int16_t *in, int16_t *out);
void edgeq_slopes_s16(const edgeq_slopes_params *p, const int16_t *in, int16_t *out);

#endif
