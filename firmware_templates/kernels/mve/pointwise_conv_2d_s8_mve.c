#include "kernels/edgeq_mve.h"

/* 1x1, stride 1: columns are the input's pixels. Where fewer than three are left, the first of them takes the place of
 * those that are missing. scratch: sums [3][EDGEQ_MVE_CHUNK]. */
void edgeq_pointwise_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  for (int32_t left = w->batches * w->out_h * w->out_w; left > 0; left -= 3, in += 3 * w->in_c, out += 3 * w->out_c) {
    const int8_t *const three[3] = {in, left > 1 ? in + w->in_c : in, left > 2 ? in + 2 * w->in_c : in};
    edgeq_mve_three_pixels(p, three, left < 3 ? left : 3, out, scratch);
  }
}
