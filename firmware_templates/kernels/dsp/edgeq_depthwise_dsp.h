/* 3x3 depthwise convolutions with a fused RELU: see depthwise_relu_dsp.inc. */
#ifndef EDGEQ_DEPTHWISE_DSP_H
#define EDGEQ_DEPTHWISE_DSP_H

#include "kernels/edgeq_dsp.h"

/* Rows of outputs of four channels, and the words that they come from; offsets are known to the assembly. */
typedef struct {
  const int32_t *words;  /*  0: the first channel's */
  int8_t *out;           /*  4 */
  const int8_t *weights; /*  8: [4][3][3]; three bytes behind the last are read too */
  const int32_t *scales; /* 12: [4] of multiplier and bias; the multiplier's sign bit: sums are little scaled */
  int32_t rows_bytes;    /* 16: of the words, from the first row of outputs to behind the last */
  int32_t in_row;        /* 20: bytes of the words from a row's end, its last pair, to the next row of outputs */
  int32_t out_gap;       /* 24: bytes from a row's last output, or with odd from behind it, to the next row */
  int32_t channel_bytes; /* 28: bytes of the words from one channel to the next */
  uint32_t count;        /* 32: turns of the loop, less one, << 16 | bytes from output to output */
  int32_t skipped;       /* 36: steps that the first turn leaves out */
  int32_t odd;           /* 40: stride 1: a row's last step is one output, not two */
} edgeq_dsp_depthwise_strip;

/* How input rows get into a strip. */
typedef struct {
  int32_t step, row;     /*  0: bytes of the input from pixel to pixel, from row to row */
  int32_t channel_bytes; /*  8: of the words, from channel to channel */
  int32_t column_bytes;  /* 12 */
  int32_t pairs;         /* 16: whole ones */
  int32_t pad, last;     /* 20: 0 or 1: a pixel alone before them, behind them */
  uint32_t zero;         /* 28: the zero point in each byte */
} edgeq_dsp_widening;

typedef void edgeq_dsp_depthwise_rows(const edgeq_dsp_depthwise_strip *strip);

/* Where it is walked sideways, rows are columns. */
typedef struct {
  int32_t batches, channels;
  int32_t in_h, out_h, stride, pad; /* rows */
  int32_t in_row, out_row;          /* bytes */
  int32_t in_rest, out_rest;        /* bytes of a batch behind its first pixel */
  int32_t columns;                  /* of a strip; a multiple of four */
  int32_t words;                    /* of a strip that has to be filled with the zero point first, else 0 */
  int32_t most;                     /* rows of outputs from a strip */
  int32_t zero;                     /* the zero point, twice */
  edgeq_dsp_widening widening;
  edgeq_dsp_depthwise_strip strip;  /* but for words, out and rows_bytes */
  edgeq_dsp_depthwise_rows *rows;
} edgeq_dsp_depthwise_params;

/* rows > 0 */
void edgeq_dsp_widen_strip(const int8_t *in, int32_t *to, const edgeq_dsp_widening *how, int32_t rows);
void edgeq_dsp_keep_rows(int32_t *to, const int32_t *from, int32_t columns, int32_t column_bytes); /* two of a strip */
void edgeq_dsp_pad_row(int32_t *to, int32_t columns, int32_t column_bytes, int32_t zero);
/* By stride, rows of a strip, and bytes from output to output. */
edgeq_dsp_depthwise_rows edgeq_dsp_depthwise_relu_1_7, edgeq_dsp_depthwise_relu_1_16, edgeq_dsp_depthwise_relu_2_7,
    edgeq_dsp_depthwise_relu_2_15, edgeq_dsp_depthwise_relu_1_7_by_8, edgeq_dsp_depthwise_relu_1_16_by_16,
    edgeq_dsp_depthwise_relu_1_16_by_32, edgeq_dsp_depthwise_relu_1_16_by_64, edgeq_dsp_depthwise_relu_1_16_by_128;

void edgeq_depthwise_3x3_relu_s8_dsp(const edgeq_dsp_depthwise_params *p, const int8_t *in, int8_t *out,
                                     void *scratch);

#endif
