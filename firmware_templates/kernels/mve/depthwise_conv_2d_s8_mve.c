#include "kernels/edgeq_mve.h"

/* Where the taps of the window at (y, x) are, from its first pixel on; those outside of the plane at `padding`. One more,
 * whose weights are zeros and which may be where the first is, makes their number even. */
static void taps_at(const edgeq_window *w, int32_t y, int32_t x, const int8_t *window, const int8_t *padding,
                    int32_t *taps) {
  int32_t *tap = taps;
  for (int32_t fy = 0; fy < w->filter_h; ++fy) {
    for (int32_t fx = 0; fx < w->filter_w; ++fx) {
      const int32_t dy = fy * w->dilation_h, dx = fx * w->dilation_w;
      const int outside = y + dy < 0 || y + dy >= w->in_h || x + dx < 0 || x + dx >= w->in_w;
      *tap++ = outside ? (int32_t)(padding - window) : (dy * w->in_w + dx) * w->in_c;
    }
  }
  *tap = *taps;
}

/* As many output channels as input channels, a multiple of four. Windows that lie on the plane are done a row at a time.
 * scratch: in_c bytes of the zero point; the taps of two windows, and one more of each. */
void edgeq_depthwise_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch) {
  const edgeq_window *w = &p->window;
  int8_t *padding = scratch;
  int32_t *inner = (int32_t *)(void *)(padding + w->in_c), *border = inner + p->depth + 1;
  edgeq_mve_fill(padding, p->in_zero, w->in_c);
  const int32_t high = (w->filter_h - 1) * w->dilation_h, wide = (w->filter_w - 1) * w->dilation_w;
  int inner_known = 0;
  edgeq_mve_run run = {
      .pairs = p->depth / 2,
      .step = w->stride_w * w->in_c,
      .out = out,
      .channels = w->in_c,
      .weights = p->weights,
      .bias = p->bias,
      .scales = p->scales,
      .out_zero = p->output.out_zero,
      .act_min = p->output.act_min,
      .act_max = p->output.act_max,
      .ties = p->output.ties,
  };
  for (int32_t n = 0; n < w->batches; ++n, in += w->in_h * w->in_w * w->in_c) {
    for (int32_t oy = 0, y = -w->pad_h; oy < w->out_h; ++oy, y += w->stride_h) {
      const int rows_inside = y >= 0 && y + high < w->in_h;
      for (int32_t ox = 0, x = -w->pad_w; ox < w->out_w; ox += run.pixels, x += run.pixels * w->stride_w) {
        run.in = in + (y * w->in_w + x) * w->in_c;
        run.pixels = 1;
        if (rows_inside && x >= 0 && x + wide < w->in_w) {
          const int32_t fit = (w->in_w - 1 - wide - x) / w->stride_w + 1;
          run.pixels = fit < w->out_w - ox ? fit : w->out_w - ox;
          if (!inner_known) taps_at(w, y, x, run.in, padding, inner);
          inner_known = 1;
          run.taps = inner;
        } else {
          taps_at(w, y, x, run.in, padding, border);
          run.taps = border;
        }
        edgeq_mve_depthwise(&run);
        run.out += run.pixels * w->in_c;
      }
    }
  }
}
