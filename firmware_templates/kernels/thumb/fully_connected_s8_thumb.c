#include "kernels/edgeq_thumb.h"

/* One vector, a multiple of four long; the window gives the outputs (out_c) only. */
void edgeq_fully_connected_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out) {
  const int32_t *biases = (const int32_t *)(const void *)p->starts;
  int32_t sums[EDGEQ_THUMB_CHANNELS];
  for (int32_t first = 0; first < p->window.out_c; first += EDGEQ_THUMB_CHANNELS) {
    const int32_t left = p->window.out_c - first;
    const int32_t count = left < EDGEQ_THUMB_CHANNELS ? left : EDGEQ_THUMB_CHANNELS;
    edgeq_thumb_mat_vec_bytes(p->weights + first / 4 * p->depth, in, p->depth, biases + first, sums, (count + 3) / 4);
    edgeq_thumb_bytes(p, sums, first, count, out + first);
  }
}
