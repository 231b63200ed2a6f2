/* Columns of a convolution for the matrix products (edgeq_dsp_mat_mul_4 and its like): four output positions at a time. */
#ifndef EDGEQ_DSP_COLUMNS_H
#define EDGEQ_DSP_COLUMNS_H

#include "kernels/edgeq_dsp.h"

/* Four output positions in a row: where their windows start. */
typedef struct {
  int32_t x[4], y[4];
  const int8_t *plane[4];    /* each position's own image */
  const int8_t *first[4];    /* the window's first pixel, wherever that points */
  int32_t left[4], right[4]; /* taps of a row that lie over the plane's left and right edge (dilation 1) */
  int inside;                /* no window reaches over either, and its rows are contiguous */
} edgeq_dsp_windows;

/* Four columns of bytes, [4][depth], as one block of interleaved pairs of int16, [depth / 2][4][2]. */
static inline void edgeq_dsp_widen_4(const int8_t *const from[4], int32_t depth, uint32_t *to) {
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

/* The windows of four positions from `position` on; `step` 0: of one position four times. */
void edgeq_dsp_windows_at(const edgeq_window *w, const int8_t *in, int32_t position, int32_t step,
                          edgeq_dsp_windows *f);

/* The input pixel under tap (fy, fx) of window i, `padding` where that lies outside of the plane. */
static inline const int8_t *edgeq_dsp_pixel_or(const edgeq_window *w, const edgeq_dsp_windows *f, int32_t i,
                                               int32_t fy, int32_t fx, const int8_t *padding) {
  const int32_t y = f->y[i] + fy * w->dilation_h, x = f->x[i] + fx * w->dilation_w;
  if (y < 0 || y >= w->in_h || x < 0 || x >= w->in_w) return padding;
  return f->plane[i] + (y * w->in_w + x) * w->in_c;
}

/* Whether row `fy` of window i lies inside the plane from top to bottom. */
static inline int edgeq_dsp_row_is_there(const edgeq_window *w, const edgeq_dsp_windows *f, int32_t i, int32_t fy) {
  const int32_t y = f->y[i] + fy * w->dilation_h;
  return y >= 0 && y < w->in_h;
}

static inline edgeq_dsp_tile edgeq_dsp_tile_of(const edgeq_dsp_conv_params *p, void *columns) {
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

static inline edgeq_dsp_tiles edgeq_dsp_tiles_of(const edgeq_dsp_paired_params *p, void *columns) {
  return (edgeq_dsp_tiles){
      .columns = columns,
      .weights = p->weights,
      .records = p->records,
      .out = NULL,
      .out_stride = p->window.out_c,
      .depth_bytes = 4 * p->depth,
      .tiles = 0,
      .groups = p->window.out_c / 4,
  };
}

/* Where a tile of four positions starts when `done` of `total` are done: the last tile goes back so that it is
 * full, and does some positions twice. */
static inline int32_t edgeq_dsp_tile_start(int32_t done, int32_t total) {
  return done + 4 > total && total >= 4 ? total - 4 : done;
}

#endif
