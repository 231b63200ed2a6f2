#include "kernels/edgeq_s16.h"
#include "kernels/edgeq_window.h"

/* The output starts at the clamp's lower end and grows, all channels of a pixel at a time. */
void edgeq_max_pool_2d_s16(const edgeq_pool_params *p, const int16_t *in, int16_t *out) {
  const edgeq_window *w = &p->window;
  const int32_t channels = w->in_c;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * channels) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x, out += channels) {
        const edgeq_span s = edgeq_window_at(w, y, x);
        for (int32_t c = 0; c < channels; ++c) out[c] = (int16_t)p->act_min;
        for (int32_t iy = s.y_first; iy < s.y_end; ++iy) {
          const int16_t *pixel = in + (iy * w->in_w + s.x_first) * channels;
          for (int32_t ix = s.x_first; ix < s.x_end; ++ix, pixel += channels) {
            for (int32_t c = 0; c < channels; ++c) out[c] = pixel[c] > out[c] ? pixel[c] : out[c];
          }
        }
        if (p->act_max == INT16_MAX) continue;
        for (int32_t c = 0; c < channels; ++c) out[c] = out[c] > p->act_max ? (int16_t)p->act_max : out[c];
      }
    }
  }
}
