#include "kernels/edgeq_mve.h"

void edgeq_mve_three_pixels(const edgeq_mve_conv_params *p, const int8_t *const in[3], int32_t pixels, int8_t *out,
                            int32_t *sums) {
  const int32_t channels = p->window.out_c;
  for (int32_t c = 0; c < channels; c += EDGEQ_MVE_CHUNK) {
    const int32_t count = channels - c < EDGEQ_MVE_CHUNK ? channels - c : EDGEQ_MVE_CHUNK;
    const edgeq_mve_tile tile = {
        .beyond = edgeq_mve_whole(p->depth) - p->depth,
        .in = {in[0], in[1], in[2]},
        .depth = p->depth,
        .last = sums + ((count - 1) & ~1),
        .weights = p->weights + c * p->depth,
        .bias = p->bias + c,
        .sums = sums,
    };
    edgeq_mve_mat_mul_3(&tile);
    const edgeq_mve_sums done = {
        .sums = sums,
        .scales = p->scales + 2 * c,
        .out = out + c,
        .channels = count,
        .rows = pixels,
        .out_stride = channels,
        .rewind = 0,
        .out_zero = p->output.out_zero,
        .act_min = p->output.act_min,
        .act_max = p->output.act_max,
        .ties = p->output.ties,
    };
    edgeq_mve_requantize(&done);
  }
}
