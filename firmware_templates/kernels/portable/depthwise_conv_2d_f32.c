#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

/* Output channel c reads input channel c / multiplier. */
void edgeq_depthwise_conv_2d_f32(const edgeq_conv_f32_params *p, const float *in, float *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int32_t y0 = y * w->stride_h - w->pad_h;
        const int32_t x0 = x * w->stride_w - w->pad_w;
        for (int32_t c = 0; c < w->out_c; ++c) {
          const int32_t channel = c / p->group;
          float sum = 0.0f;
          for (int32_t fy = 0; fy < w->filter_h; ++fy) {
            const int32_t iy = y0 + fy * w->dilation_h;
            if (iy < 0 || iy >= w->in_h) continue;
            for (int32_t fx = 0; fx < w->filter_w; ++fx) {
              const int32_t ix = x0 + fx * w->dilation_w;
              if (ix < 0 || ix >= w->in_w) continue;
              const float value = in[((n * w->in_h + iy) * w->in_w + ix) * w->in_c + channel];
              const float weight = p->weights[(fy * w->filter_w + fx) * w->out_c + c];
              sum += value * weight;
            }
          }
          *out++ = edgeq_clampf(sum + p->bias[c], p->act_min, p->act_max);
        }
      }
    }
  }
}
