#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

void edgeq_conv_2d_f32(const edgeq_conv_f32_params *p, const float *in, float *out) {
  const edgeq_window *w = &p->window;
  const int32_t groups = w->in_c / p->group; /* here a group is that many input channels */
  const int32_t per_group = w->out_c / groups;
  for (int32_t n = 0; n < w->batches; ++n) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int32_t y0 = y * w->stride_h - w->pad_h;
        const int32_t x0 = x * w->stride_w - w->pad_w;
        const float *filter = p->weights;
        for (int32_t c = 0; c < w->out_c; ++c) {
          const int32_t first = c / per_group * p->group;
          float sum = 0.0f;
          for (int32_t fy = 0; fy < w->filter_h; ++fy) {
            const int32_t iy = y0 + fy * w->dilation_h;
            if (iy < 0 || iy >= w->in_h) {
              filter += w->filter_w * p->group;
              continue;
            }
            for (int32_t fx = 0; fx < w->filter_w; ++fx, filter += p->group) {
              const int32_t ix = x0 + fx * w->dilation_w;
              if (ix < 0 || ix >= w->in_w) continue;
              const float *pixel = in + ((n * w->in_h + iy) * w->in_w + ix) * w->in_c + first;
              for (int32_t k = 0; k < p->group; ++k) {
                sum += pixel[k] * filter[k];
              }
            }
          }
          *out++ = edgeq_clampf(sum + p->bias[c], p->act_min, p->act_max);
        }
      }
    }
  }
}
