#include "kernels/edgeq_window.h"

/* Mean of the elements on the plane, ties away from zero; zero points play no part. */
void edgeq_average_pool_2d_s8(const edgeq_pool_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const edgeq_span s = edgeq_window_at(w, y, x);
        const int32_t count = (s.y_end - s.y_first) * (s.x_end - s.x_first);
        for (int32_t c = 0; c < w->in_c; ++c) {
          int32_t sum = 0;
          for (int32_t iy = s.y_first; iy < s.y_end; ++iy) {
            const int8_t *pixel = in + (iy * w->in_w + s.x_first) * w->in_c + c;
            for (int32_t ix = s.x_first; ix < s.x_end; ++ix, pixel += w->in_c) sum += *pixel;
          }
          sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
          *out++ = (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
        }
      }
    }
  }
}
