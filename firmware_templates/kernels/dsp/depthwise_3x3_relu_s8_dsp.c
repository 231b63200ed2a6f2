#include "kernels/edgeq_depthwise_dsp.h"

/* Goes down the plane with a strip of input rows of four channels widened in scratch. Outputs are written once all rows
 * that they need are widened, so that out may be in where both are walked the same way. */
void edgeq_depthwise_3x3_relu_s8_dsp(const edgeq_dsp_depthwise_params *p, const int8_t *in, int8_t *out,
                                     void *scratch) {
  const int32_t column_bytes = p->widening.column_bytes;
  edgeq_dsp_depthwise_strip strip = p->strip;
  int32_t *words = scratch;
  strip.words = words;
  if (p->words) edgeq_dsp_pad_row(words, p->words, 4, p->zero);
  for (int32_t batches = p->batches; batches; --batches, in += p->in_rest, out += p->out_rest) {
    strip.weights = p->strip.weights;
    strip.scales = p->strip.scales;
    for (int32_t channels = p->channels; channels; channels -= 4, in += 4, out += 4) {
      int32_t top = -p->pad, kept = 0; /* the input row that is the strip's first; rows that are there already */
      strip.out = out;
      for (int32_t left = p->out_h, rows; left; left -= rows) {
        rows = left < p->most ? left : p->most;
        const int32_t needed = (rows - 1) * p->stride + 3;
        const int32_t from = kept > -top ? kept : -top, end = needed < p->in_h - top ? needed : p->in_h - top;
        for (int32_t row = kept; p->most < p->out_h && row < needed; ++row) { /* else padded rows stay as they are */
          if (row < from || row >= end) edgeq_dsp_pad_row(words + row, p->columns, column_bytes, p->zero);
        }
        if (end > from) edgeq_dsp_widen_strip(in + (top + from) * p->in_row, words + from, &p->widening, end - from);
        strip.rows_bytes = 4 * rows * p->stride;
        p->rows(&strip);
        strip.out += rows * p->out_row;
        top += rows * p->stride;
        if (left > rows && p->stride == 1) {
          edgeq_dsp_keep_rows(words, words + rows, p->columns, column_bytes);
          kept = 2;
        }
      }
      strip.weights += 4 * 9;
      strip.scales += 4 * 2;
    }
  }
}
