#include "kernels/edgeq_depthwise_dsp.h"

/* Nine weights of a channel, 1 << scaled times, as (k0, k1) and (k1, k2) of each filter row: rows 0 1 2 0 1, so that
 * three in turn stand together from whichever on. */
static void spread_filter(const int8_t *k, int32_t scaled, int32_t to[10]) {
  for (int32_t row = 0; row < 3; ++row, k += 3) {
    const int32_t k1 = k[1] * (1 << scaled);
    to[2 * row] = edgeq_pack_low(k[0] * (1 << scaled), k1);
    to[2 * row + 1] = edgeq_pack_low(k1, k[2] * (1 << scaled));
  }
  for (int32_t i = 0; i < 4; ++i) to[6 + i] = to[i];
}

/* 3x3, stride 1 or 2, no dilation, at most one element padded to the left, channels a multiple of four. Goes down the
 * plane with the last three input rows of four channels widened in scratch: [pairs][4][3] words. A row of outputs is
 * written once the rows that it needs are widened, so that out may be in where both are walked the same way. */
void edgeq_depthwise_3x3_relu_s8_dsp(const edgeq_dsp_depthwise_params *p, const int8_t *in, int8_t *out,
                                     void *scratch) {
  const edgeq_window *w = &p->window;
  int32_t *ring = scratch;
  const edgeq_dsp_line line = {p->in_pixel, p->width, p->pairs, w->pad_w, (uint8_t)p->in_zero * 0x01010101u};
  const uint32_t count = ((uint32_t)w->out_w - 1u) << 16 | (uint32_t)p->out_pixel;
  for (int32_t n = 0; n < w->batches; ++n) {
    const int8_t *plane = in + n * w->in_h * w->in_w * w->in_c;
    int8_t *to = out + n * w->out_h * w->out_w * w->out_c;
    for (int32_t c = 0; c < w->in_c; c += 4) {
      int32_t weights[4][10], scales[4][2];
      for (int32_t i = 0; i < 4; ++i) {
        const int32_t *scale = p->scales + 2 * (c + i);
        spread_filter(p->weights + 9 * (c + i), scale[0] < 0 ? EDGEQ_DSP_LITTLE_SCALED : EDGEQ_DSP_SCALED, weights[i]);
        scales[i][0] = scale[0] & INT32_MAX;
        scales[i][1] = scale[1];
      }
      int32_t row = -w->pad_h, slot = 0; /* the next row to widen, and where to */
      int32_t missing = 3, first = 0; /* rows of the window not in the ring yet; the filter row that meets slot 0 */
      const int8_t *from = plane + row * p->in_row + c;
      int8_t *outputs = to + c;
      for (int32_t y = 0; y < w->out_h; ++y, outputs += p->out_row) {
        for (; missing > 0; --missing, ++row, from += p->in_row) {
          edgeq_dsp_widen_row(row >= 0 && row < w->in_h ? from : NULL, ring + slot, &line);
          slot = slot == 2 ? 0 : slot + 1;
        }
        p->row(ring, outputs, count, weights[0] + 2 * first, scales[0]);
        missing = w->stride_h;
        first -= w->stride_h;
        if (first < 0) first += 3;
      }
    }
  }
}
