#include "kernels/edgeq_spatial.h"

/* Each output element gathers what the inputs scatter to it, so that no sums have to be kept. The window's input is
 * the plane that is read; strides and padding are the convolution's that this one is the transpose of. */
void edgeq_transpose_conv_s8(const edgeq_conv_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int8_t *filter = p->weights;
        for (int32_t c = 0; c < w->out_c; ++c) {
          int32_t sum = p->bias[c];
          for (int32_t fy = 0; fy < w->filter_h; ++fy) {
            const int32_t down = y + w->pad_h - fy, iy = down / w->stride_h;
            const int meets = down >= 0 && iy < w->in_h && iy * w->stride_h == down;
            for (int32_t fx = 0; fx < w->filter_w; ++fx, filter += w->in_c) {
              const int32_t across = x + w->pad_w - fx, ix = across / w->stride_w;
              if (!meets || across < 0 || ix >= w->in_w || ix * w->stride_w != across) continue;
              const int8_t *pixel = in + (iy * w->in_w + ix) * w->in_c;
              for (int32_t k = 0; k < w->in_c; ++k) {
                sum = edgeq_wrapping_add(sum, (pixel[k] - p->in_zero) * filter[k]);
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
