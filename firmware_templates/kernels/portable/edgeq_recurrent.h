/* Operators with a state that lives from one inference to the next. */
#ifndef EDGEQ_RECURRENT_H
#define EDGEQ_RECURRENT_H

#include "kernels/edgeq_kernels.h"

typedef struct {
  int32_t batches, inputs, units, rank, memory;
  const int8_t *features; /* [units * rank][inputs] */
  const int16_t *times;   /* [units * rank][memory] */
  const int32_t *bias;    /* [units] */
  int32_t in_zero, state_zero, out_zero;
  edgeq_scale feature_scale, time_scale;
} edgeq_svdf_params;

/* state: [batches][units * rank][memory], the newest last */
void edgeq_svdf_s8_s8(const edgeq_svdf_params *p, const int8_t *in, int8_t *state, int8_t *out);
void edgeq_svdf_s8_s16(const edgeq_svdf_params *p, const int8_t *in, int16_t *state, int8_t *out);

#endif
