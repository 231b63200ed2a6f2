#include "kernels/edgeq_s16.h"

/* As transpose_conv_s8.c, with sums in 64 bits. */
void edgeq_transpose_conv_s16(const edgeq_conv_s16_params *p, const int16_t *in, int16_t *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int8_t *filter = p->weights;
        for (int32_t c = 0; c < w->out_c; ++c) {
          int64_t sum = 0;
          for (int32_t fy = 0; fy < w->filter_h; ++fy) {
            const int32_t down = y + w->pad_h - fy, iy = down / w->stride_h;
            const int meets = down >= 0 && iy < w->in_h && iy * w->stride_h == down;
            for (int32_t fx = 0; fx < w->filter_w; ++fx, filter += w->in_c) {
              const int32_t across = x + w->pad_w - fx, ix = across / w->stride_w;
              if (!meets || across < 0 || ix >= w->in_w || ix * w->stride_w != across) continue;
              const int16_t *pixel = in + (iy * w->in_w + ix) * w->in_c;
              for (int32_t k = 0; k < w->in_c; ++k) sum += pixel[k] * filter[k];
            }
          }
          const int32_t scaled = edgeq_scaled_sum(sum, p->bias[c], p->scales[c], p->narrow);
          *out++ = (int16_t)edgeq_clamp(scaled, p->act_min, p->act_max);
        }
      }
    }
  }
}
