/* 3x3 depthwise convolutions with a fused RELU: see depthwise_3x3_relu_s8_dsp.S. */
#ifndef EDGEQ_DEPTHWISE_DSP_H
#define EDGEQ_DEPTHWISE_DSP_H

#include "kernels/edgeq_dsp.h"

/* How far the weights of a channel are shifted to the left: edgeq/kernels/high_word.py. */
#define EDGEQ_DSP_SCALED 8
#define EDGEQ_DSP_LITTLE_SCALED 2

/* An input row on its way into the ring; offsets are known to the assembly. */
typedef struct {
  int32_t step;  /*  0: bytes from pixel to pixel */
  int32_t width; /*  4: pixels that are read */
  int32_t pairs; /*  8 */
  int32_t pad;   /* 12: 0 or 1 pixels before them */
  uint32_t zero; /* 16: the zero point in each byte */
} edgeq_dsp_line;

/* A row of outputs of four channels: the first channel's output, outputs less one << 16 | bytes from output to output,
 * each channel's weights from the filter row on that meets slot 0, each channel's multiplier and bias. */
typedef void edgeq_dsp_depthwise_row(const int32_t *ring, int8_t *out, uint32_t count, const int32_t *weights,
                                     const int32_t *scales);

typedef struct {
  edgeq_window window;     /* where it is walked sideways, with width and height exchanged, as the weights are */
  const int8_t *weights;   /* [channels][3][3] */
  const int32_t *scales;   /* [channels] of multiplier and bias; the multiplier's sign bit: weights little scaled */
  int32_t in_zero;
  int32_t width, pairs;    /* pixels of a row that are read, and pairs in the ring */
  int32_t in_pixel, in_row, out_pixel, out_row; /* bytes from one to the next, as it is walked */
  edgeq_dsp_depthwise_row *row;
} edgeq_dsp_depthwise_params;

void edgeq_dsp_widen_row(const int8_t *in, int32_t *to, const edgeq_dsp_line *line);
edgeq_dsp_depthwise_row edgeq_dsp_depthwise_relu_row_1; /* stride 1 */
edgeq_dsp_depthwise_row edgeq_dsp_depthwise_relu_row_2; /* stride 2 */

void edgeq_depthwise_3x3_relu_s8_dsp(const edgeq_dsp_depthwise_params *p, const int8_t *in, int8_t *out,
                                     void *scratch);

#endif
