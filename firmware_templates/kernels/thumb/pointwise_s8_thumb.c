#include "kernels/edgeq_thumb.h"

/* A matrix by the columns that lie in memory one behind the other: 1x1 convolutions, and fully connected layers, over a
 * multiple of four inputs. The window gives positions (batches * out_h * out_w) and outputs (out_c) only. */
void edgeq_pointwise_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  const int32_t positions = w->batches * w->out_h * w->out_w;
  for (int32_t first = 0; first < w->out_c; first += p->channels) {
    const int32_t left = w->out_c - first;
    const int32_t count = left < p->channels ? left : p->channels;
    const int8_t *column = in;
    int8_t *to = out + first;
    for (int32_t i = 0; i < positions; ++i, column += p->depth, to += w->out_c) {
      edgeq_thumb_position(p, column, first, count, to);
    }
  }
}
