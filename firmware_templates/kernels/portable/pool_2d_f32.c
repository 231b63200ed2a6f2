#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

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

/* What a window comes to, channel by channel: `kind` is 0 for the mean, 1 for the largest, 2 for the root of the mean of
 * the squares. */
static inline void pool(const edgeq_pool_f32_params *p, const float *in, float *out, int32_t kind) {
  const edgeq_window *w = &p->window;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x) {
        const span s = window_at(w, y, x);
        const float count = (float)((s.y_end - s.y_first) * (s.x_end - s.x_first));
        for (int32_t c = 0; c < w->in_c; ++c) {
          float total = kind == 1 ? -3.402823466e+38f : 0.0f;
          for (int32_t iy = s.y_first; iy < s.y_end; ++iy) {
            const float *pixel = in + (iy * w->in_w + s.x_first) * w->in_c + c;
            for (int32_t ix = s.x_first; ix < s.x_end; ++ix, pixel += w->in_c) {
              if (kind == 1) {
                total = *pixel > total ? *pixel : total;
              } else {
                total += kind == 2 ? *pixel * *pixel : *pixel;
              }
            }
          }
          if (kind != 1) total /= count;
          if (kind == 2) total = edgeq_sqrtf(total);
          *out++ = edgeq_clampf(total, p->act_min, p->act_max);
        }
      }
    }
  }
}

void edgeq_average_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out) { pool(p, in, out, 0); }

void edgeq_max_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out) { pool(p, in, out, 1); }

void edgeq_l2_pool_2d_f32(const edgeq_pool_f32_params *p, const float *in, float *out) { pool(p, in, out, 2); }
