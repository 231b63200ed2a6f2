#include "kernels/edgeq_mve.h"

/* One block of four rows or several; row_bytes 0: one row four times. */
static void multiply(const edgeq_mve_fully_connected_params *p, const int8_t *in, int32_t first, int32_t blocks,
                     int32_t row_bytes, int32_t *sums) {
  const edgeq_mve_rows rows = {
      .beyond = edgeq_mve_whole(p->depth) - p->depth,
      .row_bytes = row_bytes,
      .depth = p->depth,
      .in = in,
      .weights = p->weights + first * p->depth,
      .bias = p->bias + first,
      .sums = sums,
      .blocks = blocks,
  };
  edgeq_mve_mat_vec_4(&rows);
}

/* The last rows that don't fill a block go back so that they do; fewer than four are each done four times. */
static void multiply_all(const edgeq_mve_fully_connected_params *p, const int8_t *in, int32_t first, int32_t rows,
                         int32_t *sums) {
  if (rows < 4) {
    for (int32_t row = 0; row < rows; ++row) multiply(p, in, first + row, 1, 0, sums + row);
    return;
  }
  multiply(p, in, first, rows / 4, p->depth, sums);
  if (rows % 4) multiply(p, in, first + rows - 4, 1, p->depth, sums + rows - 4);
}

void edgeq_mve_vector(const edgeq_mve_fully_connected_params *p, const int8_t *in, int8_t *out, int32_t *sums) {
  for (int32_t c = 0; c < p->outputs; c += EDGEQ_MVE_CHUNK) {
    const int32_t count = p->outputs - c < EDGEQ_MVE_CHUNK ? p->outputs - c : EDGEQ_MVE_CHUNK;
    multiply_all(p, in, c, count, sums);
    const edgeq_mve_sums done = {
        .sums = sums,
        .scales = p->scales + (p->rewind ? 0 : 2 * c),
        .out = out + c,
        .channels = count,
        .rows = 1,
        .out_stride = p->outputs,
        .rewind = p->rewind,
        .out_zero = p->output.out_zero,
        .act_min = p->output.act_min,
        .act_max = p->output.act_max,
        .ties = p->output.ties,
    };
    edgeq_mve_requantize(&done);
  }
}
