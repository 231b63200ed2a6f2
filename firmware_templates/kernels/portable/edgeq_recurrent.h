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

/* Gates in the order input, forget, cell, output. */
typedef struct {
  int32_t batches, steps, inputs, units;
  int32_t time_major;
  const int8_t *weights;         /* [4][units][inputs] */
  const int8_t *recurrent;       /* [4][units][units] */
  const int32_t *bias;           /* [4][units]; the input's zero point is in it */
  const int32_t *recurrent_bias; /* [4][units]; of the hidden state's zero point */
  edgeq_scale scales[8];         /* of the input's and the hidden state's products, gate by gate */
  int32_t cell_exponent;         /* the cell's scale is a power of two */
  int32_t clip;                  /* of the cell; 0: none */
  edgeq_scale hidden_scale;
  int32_t hidden_zero;
} edgeq_lstm_params;

/* hidden: [batches][units], cell: [batches][units]; gates: 4 * units of scratch */
void edgeq_lstm_s8(const edgeq_lstm_params *p, const int8_t *in, int8_t *hidden, int16_t *cell, int8_t *out,
                   int16_t *gates);

/* state: [batches][units * rank][memory], the newest last */
void edgeq_svdf_s8_s8(const edgeq_svdf_params *p, const int8_t *in, int8_t *state, int8_t *out);
void edgeq_svdf_s8_s16(const edgeq_svdf_params *p, const int8_t *in, int16_t *state, int8_t *out);

#endif
