#include "kernels/edgeq_s16.h"

/* The part of the window at (y, x) that lies on the plane. */
typedef struct {
  int32_t y_first, y_end, x_first, x_end;
} span;

static span window_at(const edgeq_window *w, int32_t y, int32_t x) {
  const int32_t y0 = y * w->stride_h - w->pad_h;
  const int32_t x0 = x * w->stride_w - w->pad_w;
  return (span){
      .y_first = y0 < 0 ? 0 : y0,
      .y_end = y0 + w->filter_h < w->in_h ? y0 + w->filter_h : w->in_h,
      .x_first = x0 < 0 ? 0 : x0,
      .x_end = x0 + w->filter_w < w->in_w ? x0 + w->filter_w : w->in_w,
  };
}

/* Mean of the elements on the plane, ties away from zero; zero points play no part. */
void edgeq_average_pool_2d_s16(const edgeq_pool_params *p, const int16_t *in, int16_t *out) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const span s = window_at(w, y, x);
        const int32_t count = (s.y_end - s.y_first) * (s.x_end - s.x_first);
        for (int32_t c = 0; c < w->in_c; ++c) {
          int32_t sum = 0;
          for (int32_t iy = s.y_first; iy < s.y_end; ++iy) {
            const int16_t *pixel = in + (iy * w->in_w + s.x_first) * w->in_c + c;
            for (int32_t ix = s.x_first; ix < s.x_end; ++ix, pixel += w->in_c) sum += *pixel;
          }
          sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
          *out++ = (int16_t)edgeq_clamp(sum, p->act_min, p->act_max);
        }
      }
    }
  }
}

/* The output starts at the clamp's lower end and grows, all channels of a pixel at a time. */
void edgeq_max_pool_2d_s16(const edgeq_pool_params *p, const int16_t *in, int16_t *out) {
  const edgeq_window *w = &p->window;
  const int32_t channels = w->in_c;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * channels) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x, out += channels) {
        const span s = window_at(w, y, x);
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
