#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

/* As transpose_conv_s8.c, taps from the last to the first: so the inputs come in the order in which the reference
 * scatters them. */
void edgeq_transpose_conv_f32(const edgeq_conv_f32_params *p, const float *in, float *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        for (int32_t c = 0; c < w->out_c; ++c) {
          float sum = 0.0f;
          for (int32_t fy = w->filter_h - 1; fy >= 0; --fy) {
            const int32_t down = y + w->pad_h - fy, iy = down / w->stride_h;
            if (down < 0 || iy >= w->in_h || iy * w->stride_h != down) continue;
            for (int32_t fx = w->filter_w - 1; fx >= 0; --fx) {
              const int32_t across = x + w->pad_w - fx, ix = across / w->stride_w;
              if (across < 0 || ix >= w->in_w || ix * w->stride_w != across) continue;
              const float *filter = p->weights + ((c * w->filter_h + fy) * w->filter_w + fx) * w->in_c;
              const float *pixel = in + (iy * w->in_w + ix) * w->in_c;
              for (int32_t k = 0; k < w->in_c; ++k) sum += pixel[k] * filter[k];
            }
          }
          *out++ = edgeq_clampf(sum + p->bias[c], p->act_min, p->act_max);
        }
      }
    }
  }
}
