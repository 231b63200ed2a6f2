/* What kernels share that look at a window of a plane. */
#ifndef EDGEQ_WINDOW_H
#define EDGEQ_WINDOW_H

#include "kernels/edgeq_kernels.h"

/* The part of the window at (y, x) that lies on the plane. */
typedef struct {
  int32_t y_first, y_end, x_first, x_end;
} edgeq_span;

static inline edgeq_span edgeq_window_at(const edgeq_window *w, int32_t y, int32_t x) {
  const int32_t y0 = y * w->stride_h - w->pad_h;
  const int32_t x0 = x * w->stride_w - w->pad_w;
  return (edgeq_span){
      .y_first = y0 < 0 ? 0 : y0,
      .y_end = y0 + w->filter_h < w->in_h ? y0 + w->filter_h : w->in_h,
      .x_first = x0 < 0 ? 0 : x0,
      .x_end = x0 + w->filter_w < w->in_w ? x0 + w->filter_w : w->in_w,
  };
}

#endif
