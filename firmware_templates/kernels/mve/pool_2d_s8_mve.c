#include <arm_mve.h>

#include "kernels/edgeq_mve.h"

/* The part of the window at output position (y, x) that lies on the plane. */
typedef struct {
  const int8_t *first;
  int32_t high, wide;
} span;

static span window_at(const edgeq_window *w, const int8_t *plane, int32_t y, int32_t x) {
  const int32_t y0 = y * w->stride_h - w->pad_h, x0 = x * w->stride_w - w->pad_w;
  const int32_t top = y0 < 0 ? 0 : y0, left = x0 < 0 ? 0 : x0;
  const int32_t bottom = y0 + w->filter_h < w->in_h ? y0 + w->filter_h : w->in_h;
  const int32_t right = x0 + w->filter_w < w->in_w ? x0 + w->filter_w : w->in_w;
  return (span){plane + (top * w->in_w + left) * w->in_c, bottom - top, right - left};
}

/* sum / count, ties away from zero: twice the magnitude plus a half, times the reciprocal of twice the count, which is too
 * large by less than one unit in 2^31: exact while the magnitude is below 2^29. */
static int32x4_t divided(int32x4_t sum, int32_t count, int32_t reciprocal) {
  int32x4_t twice = vaddq_n_s32(vshlq_n_s32(vabsq_s32(sum), 1), 2 * (count / 2) + 1);
  twice = vqdmulhq_n_s32(twice, reciprocal);
  return vnegq_m_s32(twice, twice, vcmpltq_n_s32(sum, 0));
}

/* Mean of the elements on the plane, four channels at a time; zero points play no part. */
void edgeq_average_pool_2d_s8_mve(const edgeq_pool_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  const int32x4_t low = vdupq_n_s32(p->act_min), high = vdupq_n_s32(p->act_max);
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x, out += w->in_c) {
        const span s = window_at(w, in, y, x);
        const int32_t count = s.high * s.wide;
        const int32_t reciprocal = INT32_MAX / (2 * count) + 1;
        for (int32_t c = 0; c < w->in_c; c += 4) {
          const mve_pred16_t some = vctp32q((uint32_t)(w->in_c - c));
          int32x4_t sum = vdupq_n_s32(0);
          const int8_t *row = s.first + c;
          for (int32_t iy = 0; iy < s.high; ++iy, row += w->in_w * w->in_c) {
            const int8_t *pixel = row;
            for (int32_t ix = s.wide; ix > 0; --ix, pixel += w->in_c) sum = vaddq_s32(sum, vldrbq_z_s32(pixel, some));
          }
          const int32x4_t mean = vminq_s32(vmaxq_s32(divided(sum, count, reciprocal), low), high);
          vstrbq_p_s32(out + c, mean, some);
        }
      }
    }
  }
}

/* Sixteen channels at a time. */
void edgeq_max_pool_2d_s8_mve(const edgeq_pool_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  const int8x16_t high = vdupq_n_s8((int8_t)p->act_max);
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t y = 0; y < w->out_h; ++y) {
      for (int32_t x = 0; x < w->out_w; ++x, out += w->in_c) {
        const span s = window_at(w, in, y, x);
        for (int32_t c = 0; c < w->in_c; c += 16) {
          const mve_pred16_t some = vctp8q((uint32_t)(w->in_c - c));
          int8x16_t most = vdupq_n_s8((int8_t)p->act_min);
          const int8_t *row = s.first + c;
          for (int32_t iy = 0; iy < s.high; ++iy, row += w->in_w * w->in_c) {
            const int8_t *pixel = row;
            for (int32_t ix = s.wide; ix > 0; --ix, pixel += w->in_c) most = vmaxq_s8(most, vldrbq_z_s8(pixel, some));
          }
          vstrbq_p_s8(out + c, vminq_s8(most, high), some);
        }
      }
    }
  }
}
