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

/* The inputs of one output position, row by row of the filter, padding as the zero point. */
static void gather(const edgeq_dsp_conv_params *p, const int8_t *in, int32_t position, int8_t *to) {
  const edgeq_window *w = &p->window;
  const int32_t x = position % w->out_w;
  const int32_t y = position / w->out_w % w->out_h;
  const int32_t batch = position / (w->out_w * w->out_h);
  const int32_t x0 = x * w->stride_w - w->pad_w;
  const int32_t y0 = y * w->stride_h - w->pad_h;
  const int32_t row_bytes = w->filter_w * w->in_c;
  for (int32_t fy = 0; fy < w->filter_h; ++fy) {
    const int32_t iy = y0 + fy * w->dilation_h;
    if (iy < 0 || iy >= w->in_h) {
      memset(to, p->in_zero, (size_t)row_bytes);
      to += row_bytes;
      continue;
    }
    const int8_t *row = in + (batch * w->in_h + iy) * w->in_w * w->in_c;
    if (w->dilation_w == 1 && x0 >= 0 && x0 + w->filter_w <= w->in_w) {
      memcpy(to, row + x0 * w->in_c, (size_t)row_bytes);
      to += row_bytes;
      continue;
    }
    for (int32_t fx = 0; fx < w->filter_w; ++fx, to += w->in_c) {
      const int32_t ix = x0 + fx * w->dilation_w;
      if (ix < 0 || ix >= w->in_w) {
        memset(to, p->in_zero, (size_t)w->in_c);
      } else {
        memcpy(to, row + ix * w->in_c, (size_t)w->in_c);
      }
    }
  }
}

/* Any convolution without groups. scratch: [depth / 2][4][2] int16, then [4][depth] int8. */
void edgeq_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const int32_t total = p->window.batches * p->window.out_h * p->window.out_w;
  int8_t *bytes = (int8_t *)scratch + 8 * p->depth;
  edgeq_dsp_tile tile = tile_of(p, scratch);
  if (total < 4) tile.out_stride = 0;
  memset(bytes, 0, 4 * (size_t)p->depth); /* what pads the depth meets zero weights, but must be there */
  for (int32_t done = 0; done < total; done += total < 4 ? 1 : 4) {
    const int32_t first = tile_start(done, total);
    const int8_t *from[4];
    for (int32_t i = 0; i < 4; ++i) {
      from[i] = bytes + i * p->depth;
      gather(p, in, total < 4 ? first : first + i, bytes + i * p->depth);
    }
    widen_4(from, p->depth, scratch);
    tile.out = out + first * p->window.out_c;
    edgeq_dsp_mat_mul_4(&tile);
  }
}
