#include "kernels/edgeq_dsp.h"

/* sum + (byte 0 and byte 2 of x), in half words. */
static inline uint32_t add_even(uint32_t sum, uint32_t x) {
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sum), "r"(x));
  return result;
}

/* sum + (byte 1 and byte 3 of x), in half words. */
static inline uint32_t add_odd(uint32_t sum, uint32_t x) {
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sum), "r"(x));
  return result;
}

/* Ties away from zero. A function of its own, as it is called four times. */
__attribute__((noinline)) static int8_t mean(int32_t sum, int32_t count, int32_t half, const edgeq_pool_params *p) {
  return (int8_t)edgeq_clamp((sum > 0 ? sum + half : sum - half) / count, p->act_min, p->act_max);
}

/* Channels a multiple of four, taken four at a time with two sums in a word; at most 255 elements in the window, so that
 * sums stay within 16 bits. */
void edgeq_average_pool_2d_s8_dsp(const edgeq_pool_params *p, const int8_t *in, int8_t *out) {
  const edgeq_window *w = &p->window;
  const int32_t channels = w->in_c, line = w->in_w * channels;
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * line) {
    for (int32_t y = -w->pad_h, left_h = w->out_h; left_h > 0; --left_h, y += w->stride_h) {
      const int32_t y_first = y < 0 ? 0 : y, y_end = y + w->filter_h < w->in_h ? y + w->filter_h : w->in_h;
      for (int32_t x = -w->pad_w, left_w = w->out_w; left_w > 0; --left_w, x += w->stride_w) {
        const int32_t x_first = x < 0 ? 0 : x, x_end = x + w->filter_w < w->in_w ? x + w->filter_w : w->in_w;
        const int32_t count = (y_end - y_first) * (x_end - x_first), half = count / 2;
        const int whole = x_end - x_first == w->in_w; /* rows follow one another */
        const int32_t lines = whole ? 1 : y_end - y_first, length = whole ? count : x_end - x_first;
        const int8_t *window = in + y_first * line + x_first * channels;
        for (int32_t c = 0; c < channels; c += 4, window += 4, out += 4) {
          uint32_t even = 0, odd = 0;
          const int8_t *row = window;
          for (int32_t i = 0; i < lines; ++i, row += line) {
            const int8_t *pixel = row;
            for (int32_t left = length; left > 0; --left, pixel += channels) {
              const uint32_t four = edgeq_load4(pixel);
              even = add_even(even, four);
              odd = add_odd(odd, four);
            }
          }
          out[0] = mean((int16_t)even, count, half, p);
          out[1] = mean((int16_t)odd, count, half, p);
          out[2] = mean((int32_t)even >> 16, count, half, p);
          out[3] = mean((int32_t)odd >> 16, count, half, p);
        }
      }
    }
  }
}
