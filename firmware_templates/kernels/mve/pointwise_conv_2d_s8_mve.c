#include "kernels/edgeq_mve.h"

/* 1x1, stride 1, at least three pixels: columns are the input's pixels. The last three go back so that they are three, and
 * some are done twice. scratch: sums [3][EDGEQ_MVE_CHUNK]. */
void edgeq_pointwise_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t total = w->batches * w->out_h * w->out_w;
  for (int32_t done = 0; done < total; done += 3) {
    const int32_t first = done + 3 > total ? total - 3 : done;
    const int8_t *pixel = in + first * w->in_c;
    const int8_t *const three[3] = {pixel, pixel + w->in_c, pixel + 2 * w->in_c};
    edgeq_mve_three_pixels(p, three, out + first * w->out_c, scratch);
  }
}
