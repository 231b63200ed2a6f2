#include "kernels/edgeq_thumb.h"

#if defined(__GNUC__)
typedef uint32_t word __attribute__((may_alias)); /* of bytes */
#else
typedef uint32_t word;
#endif

/* Bytes from one aligned place to another or from any to any. */
static void copy(const int8_t *from, int8_t *to, int32_t bytes) {
  int32_t i = 0;
  if ((((uintptr_t)from | (uintptr_t)to) & 3u) == 0) {
    const word *words = (const word *)(const void *)from;
    word *into = (word *)(void *)to;
    for (; i + 4 <= bytes; i += 4) *into++ = *words++;
  }
  for (; i < bytes; ++i) to[i] = from[i];
}

static void fill(int8_t *to, int32_t bytes, int32_t value) {
  for (int32_t i = 0; i < bytes; ++i) to[i] = (int8_t)value;
}

/* The inputs of one output position, padding included, and zeros up to the depth. */
static void gather(const edgeq_thumb_conv_params *p, const int8_t *image, int32_t y0, int32_t x0, int8_t *column) {
  const edgeq_window *w = &p->window;
  int8_t *to = column;
  const int32_t row = w->filter_w * w->in_c;
  for (int32_t fy = 0; fy < w->filter_h; ++fy) {
    const int32_t y = y0 + fy * w->dilation_h;
    if (y < 0 || y >= w->in_h) {
      fill(to, row, p->in_zero);
      to += row;
      continue;
    }
    const int8_t *line = image + y * w->in_w * w->in_c;
    if (w->dilation_w == 1 && x0 >= 0 && x0 + w->filter_w <= w->in_w) {
      copy(line + x0 * w->in_c, to, row);
      to += row;
      continue;
    }
    for (int32_t fx = 0; fx < w->filter_w; ++fx, to += w->in_c) {
      const int32_t x = x0 + fx * w->dilation_w;
      if (x < 0 || x >= w->in_w) {
        fill(to, w->in_c, p->in_zero);
      } else {
        copy(line + x * w->in_c, to, w->in_c);
      }
    }
  }
  fill(to, (int32_t)(column + p->depth - to), 0);
}

/* As many channels in a pass as leaves their weights in a small cache in front of the flash; then the next ones. */
void edgeq_conv_2d_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  for (int32_t first = 0; first < w->out_c; first += p->channels) {
    const int32_t left = w->out_c - first;
    const int32_t count = left < p->channels ? left : p->channels;
    int8_t *to = out + first;
    for (int32_t n = 0; n < w->batches; ++n) {
      const int8_t *image = in + n * w->in_h * w->in_w * w->in_c;
      for (int32_t y = 0; y < w->out_h; ++y) {
        for (int32_t x = 0; x < w->out_w; ++x, to += w->out_c) {
          gather(p, image, y * w->stride_h - w->pad_h, x * w->stride_w - w->pad_w, scratch);
          edgeq_thumb_position(p, scratch, first, count, to);
        }
      }
    }
  }
}
