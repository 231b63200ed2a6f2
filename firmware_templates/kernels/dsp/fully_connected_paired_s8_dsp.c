#include "kernels/edgeq_dsp.h"

/* Depth a multiple of four. */
void edgeq_fully_connected_paired_s8_dsp(const edgeq_dsp_paired_fc_params *p, const int8_t *in, int8_t *out) {
  edgeq_dsp_paired_rows rows = p->rows;
  rows.in = in;
  rows.out = out;
  for (int32_t left = p->batches; left; --left, rows.in += rows.depth, rows.out += rows.rows) p->multiply(&rows);
}
