#include <string.h>

#include "kernels/edgeq_dsp.h"

/* Four columns of bytes, [4][depth], as one block of interleaved pairs of int16, [depth / 2][4][2]. */
static void widen_4(const int8_t *const from[4], int32_t depth, uint32_t *to) {
  for (int32_t k = 0; k < depth; k += 4, to += 8) {
    const uint32_t a = edgeq_load4(from[0] + k), b = edgeq_load4(from[1] + k);
    const uint32_t c = edgeq_load4(from[2] + k), d = edgeq_load4(from[3] + k);
    to[0] = (uint32_t)edgeq_sxtb16(a);
    to[1] = (uint32_t)edgeq_sxtb16(b);
    to[2] = (uint32_t)edgeq_sxtb16(c);
    to[3] = (uint32_t)edgeq_sxtb16(d);
    to[4] = (uint32_t)edgeq_sxtb16_ror8(a);
    to[5] = (uint32_t)edgeq_sxtb16_ror8(b);
    to[6] = (uint32_t)edgeq_sxtb16_ror8(c);
    to[7] = (uint32_t)edgeq_sxtb16_ror8(d);
  }
}

static edgeq_dsp_tile tile_of(const edgeq_dsp_conv_params *p, void *columns) {
  return (edgeq_dsp_tile){
      .columns = columns,
      .weights = p->weights,
      .bias = p->bias,
      .scales = p->scales,
      .out = NULL,
      .out_stride = p->window.out_c,
      .pairs = p->depth / 2,
      .channels = p->window.out_c,
      .act_min = p->act_min,
      .act_max = p->act_max,
  };
}

/* Where a tile of four positions starts when `done` of `total` are done: the last tile goes back so that it is
 * full, and does some positions twice. */
static int32_t tile_start(int32_t done, int32_t total) {
  return done + 4 > total && total >= 4 ? total - 4 : done;
}

/* 1x1, stride 1, depth a multiple of four: columns are the input's own pixels. */
void edgeq_pointwise_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t total = p->window.batches * p->window.out_h * p->window.out_w;
  edgeq_dsp_tile tile = tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0; /* one position four times over: all write the same bytes */
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = tile_start(done, total);
    const int32_t step = total < 4 ? 0 : p->depth;
    const int8_t *pixel = in + first * p->depth;
    const int8_t *const from[4] = {pixel, pixel + step, pixel + 2 * step, pixel + 3 * step};
    widen_4(from, p->depth, scratch);
    tile.out = out + first * p->window.out_c;
    edgeq_dsp_mat_mul_4(&tile);
  }
}

/* Four output positions in a row: where their windows start. */
typedef struct {
  int32_t x[4], y[4];
  const int8_t *plane[4]; /* each position's own image */
  const int8_t *first[4]; /* the window's first pixel, wherever that points */
  int inside;             /* no window reaches over the left or right edge, and its rows are contiguous */
} four_windows;

static void windows_at(const edgeq_window *w, const int8_t *in, int32_t position, int32_t step, four_windows *f) {
  int32_t x = position % w->out_w;
  const int32_t rows = position / w->out_w;
  int32_t y = rows % w->out_h;
  const int8_t *plane = in + rows / w->out_h * w->in_h * w->in_w * w->in_c;
  f->inside = w->dilation_w == 1;
  for (int32_t i = 0; i < 4; ++i) {
    f->x[i] = x * w->stride_w - w->pad_w;
    f->y[i] = y * w->stride_h - w->pad_h;
    f->plane[i] = plane;
    f->first[i] = plane + (f->y[i] * w->in_w + f->x[i]) * w->in_c;
    if (f->x[i] < 0 || f->x[i] + w->filter_w > w->in_w) f->inside = 0;
    x += step;
    if (x == w->out_w) {
      x = 0;
      if (++y == w->out_h) {
        y = 0;
        plane += w->in_h * w->in_w * w->in_c;
      }
    }
  }
}

/* Whether row `fy` of window i lies inside the plane from top to bottom. */
static inline int row_is_there(const edgeq_window *w, const four_windows *f, int32_t i, int32_t fy) {
  const int32_t y = f->y[i] + fy * w->dilation_h;
  return y >= 0 && y < w->in_h;
}

static const int8_t *pixel_or(const edgeq_window *w, const four_windows *f, int32_t i, int32_t fy, int32_t fx,
                              const int8_t *padding) {
  const int32_t y = f->y[i] + fy * w->dilation_h, x = f->x[i] + fx * w->dilation_w;
  if (y < 0 || y >= w->in_h || x < 0 || x >= w->in_w) return padding;
  return f->plane[i] + (y * w->in_w + x) * w->in_c;
}

/* No groups, input channels a multiple of four: whole rows of the filter are widened from where they lie.
 * scratch: [depth / 2][4][2] int16, then in_c bytes of the zero point. */
void edgeq_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t total = w->batches * w->out_h * w->out_w;
  const int32_t row = w->filter_w * w->in_c;
  const int32_t filter_row = w->dilation_h * w->in_w * w->in_c;
  int8_t *padding = (int8_t *)scratch + 8 * p->depth;
  edgeq_dsp_tile tile = tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0;
  memset(padding, p->in_zero, (size_t)w->in_c);
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = tile_start(done, total);
    four_windows f;
    windows_at(w, in, first, total < 4 ? 0 : 1, &f);
    uint32_t *to = scratch;
    for (int32_t fy = 0; fy < w->filter_h; ++fy) {
      const int8_t *from[4];
      if (f.inside && row_is_there(w, &f, 0, fy) && row_is_there(w, &f, 1, fy) && row_is_there(w, &f, 2, fy) &&
          row_is_there(w, &f, 3, fy)) {
        for (int32_t i = 0; i < 4; ++i) from[i] = f.first[i] + fy * filter_row;
        widen_4(from, row, to);
        to += 2 * row;
        continue;
      }
      for (int32_t fx = 0; fx < w->filter_w; ++fx, to += 2 * w->in_c) {
        for (int32_t i = 0; i < 4; ++i) from[i] = pixel_or(w, &f, i, fy, fx, padding);
        widen_4(from, w->in_c, to);
      }
    }
    tile.out = out + first * w->out_c;
    edgeq_dsp_mat_mul_4(&tile);
  }
}

/* Words, then the bytes that are left: rows are short, a call of memcpy would cost more than the copy. */
static inline int8_t *copy_row(int8_t *to, const int8_t *from, int32_t bytes) {
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) {
    const uint32_t word = edgeq_load4(from);
    __builtin_memcpy(to, &word, 4);
  }
  while (bytes-- > 0) *to++ = *from++;
  return to;
}

/* No groups, any number of input channels: columns are gathered as bytes first.
 * scratch: [depth / 2][4][2] int16, then [4][depth] int8, then in_c bytes of the zero point. */
void edgeq_conv_2d_few_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  const int32_t total = w->batches * w->out_h * w->out_w;
  const int32_t row = w->filter_w * w->in_c;
  const int32_t filter_row = w->dilation_h * w->in_w * w->in_c;
  int8_t *bytes = (int8_t *)scratch + 8 * p->depth;
  int8_t *padding = bytes + 4 * p->depth;
  edgeq_dsp_tile tile = tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0;
  memset(bytes, 0, 4 * (size_t)p->depth); /* what pads the depth meets zero weights, but must be there */
  memset(padding, p->in_zero, (size_t)w->in_c);
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = tile_start(done, total);
    four_windows f;
    windows_at(w, in, first, total < 4 ? 0 : 1, &f);
    const int8_t *from[4];
    for (int32_t i = 0; i < 4; ++i) {
      int8_t *to = bytes + i * p->depth;
      from[i] = to;
      for (int32_t fy = 0; fy < w->filter_h; ++fy) {
        if (f.inside && row_is_there(w, &f, i, fy)) {
          to = copy_row(to, f.first[i] + fy * filter_row, row);
          continue;
        }
        for (int32_t fx = 0; fx < w->filter_w; ++fx) to = copy_row(to, pixel_or(w, &f, i, fy, fx, padding), w->in_c);
      }
    }
    widen_4(from, p->depth, scratch);
    tile.out = out + first * w->out_c;
    edgeq_dsp_mat_mul_4(&tile);
  }
}
