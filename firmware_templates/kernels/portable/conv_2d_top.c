#include "kernels/edgeq_kernels.h"

/* Of int8 weights the highest bits. One output element of a convolution: the taps that fall outside the plane contribute nothing, because
 * padding stands for the input's zero point. */
void edgeq_conv_2d_top(const edgeq_conv_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  const int32_t groups = w->in_c / p->group; /* here a group is that many input channels */
  const int32_t per_group = w->out_c / groups;
  for (int32_t n = 0; n < w->batches; ++n) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int32_t y0 = y * w->stride_h - w->pad_h;
        const int32_t x0 = x * w->stride_w - w->pad_w;
        const int8_t *filter = p->weights;
        for (int32_t c = 0; c < w->out_c; ++c) {
          const int32_t first = c / per_group * p->group;
          int32_t sum = p->bias ? p->bias[c] : 0;
          for (int32_t fy = 0; fy < w->filter_h; ++fy) {
            const int32_t iy = y0 + fy * w->dilation_h;
            if (iy < 0 || iy >= w->in_h) {
              filter += w->filter_w * p->group;
              continue;
            }
            for (int32_t fx = 0; fx < w->filter_w; ++fx, filter += p->group) {
              const int32_t ix = x0 + fx * w->dilation_w;
              if (ix < 0 || ix >= w->in_w) continue;
              const int8_t *pixel = in + ((n * w->in_h + iy) * w->in_w + ix) * w->in_c + first;
              for (int32_t k = 0; k < p->group; ++k) {
                sum = edgeq_wrapping_add(sum, (pixel[k] - p->in_zero) * edgeq_top_bits(filter[k], p->bits));
              }
            }
          }
          sum = edgeq_wrapping_add(edgeq_requantize(sum, p->scales[c]), p->out_zero);
          *out++ = (int8_t)edgeq_clamp(sum, p->act_min, p->act_max);
        }
      }
    }
  }
}
