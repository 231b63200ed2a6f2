#include "kernels/edgeq_thumb.h"

/* Any filter over a multiple of four channels. scratch: a pointer per tap, then a pixel of zero points. */
void edgeq_depthwise_conv_2d_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out,
                                      void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t *biases = (const int32_t *)(const void *)p->starts;
  const int32_t count = w->filter_h * w->filter_w, row = w->in_w * w->in_c;
  const int8_t **taps = scratch;
  int8_t *padding = (int8_t *)(taps + count);
  int32_t sums[EDGEQ_THUMB_CHANNELS];
  for (int32_t c = 0; c < w->in_c; ++c) padding[c] = (int8_t)p->in_zero;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * row) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const int32_t y0 = y * w->stride_h - w->pad_h, x0 = x * w->stride_w - w->pad_w;
        const int8_t **tap = taps;
        for (int32_t fy = 0; fy < w->filter_h; ++fy) {
          const int32_t iy = y0 + fy * w->dilation_h;
          const int8_t *line = in + iy * row;
          for (int32_t fx = 0; fx < w->filter_w; ++fx) {
            const int32_t ix = x0 + fx * w->dilation_w;
            const int inside = iy >= 0 && iy < w->in_h && ix >= 0 && ix < w->in_w;
            *tap++ = inside ? line + ix * w->in_c : padding;
          }
        }
        for (int32_t first = 0; first < w->in_c; first += EDGEQ_THUMB_CHANNELS) {
          const int32_t left = w->in_c - first;
          const int32_t channels = left < EDGEQ_THUMB_CHANNELS ? left : EDGEQ_THUMB_CHANNELS;
          edgeq_thumb_taps(p->weights + first / 4 * count, taps, count, biases + first, sums, channels / 4);
          edgeq_thumb_bytes(p, sums, first, channels, out);
          out += channels;
          for (int32_t i = 0; i < count; ++i) taps[i] += channels;
        }
      }
    }
  }
}
