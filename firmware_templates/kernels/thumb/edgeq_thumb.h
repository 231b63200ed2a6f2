/* Kernels for cores with nothing but Armv6-M (Cortex-M0, M0+): eight registers, a product of 32 bits, no more.
 *
 * What the packing in edgeq/kernels/thumb.py and this code agree on:
 *  - Convolutions: a word holds the weights of two output channels A and B for one input as A + 65536 * B. One MULS by
 *    an activation x gives x * A in its low half and x * B, plus what the low half borrows, in its high half. Products
 *    are added up so for `every` inputs (2 or 4: as many as certainly fit in 16 bits, by the weights of the four channels)
 *    in a word T that starts at 32768; then B's sum is T >> 16, and all T go into a second sum modulo 2^32, from
 *    which A's is what remains without 65536 times B's. Both are exact.
 *  - Depthwise, and weights that are used once: a word holds the weights of four channels for one tap or input.
 *  - -in_zero * sum(weights) is folded into the biases (exact modulo 2^32): padding is the zero point itself.
 */
#ifndef EDGEQ_THUMB_H
#define EDGEQ_THUMB_H

#include "kernels/edgeq_kernels.h"

enum { EDGEQ_THUMB_CHANNELS = 32 }; /* of a position at a time, at most */

/* Where the sums of four channels start; offsets are known to the assembly. */
typedef struct {
  int32_t all_ab, b, all_cd, d;
  int32_t every;
} edgeq_thumb_start;

typedef struct {
  edgeq_window window;
  const uint32_t *weights;         /* [channels / 4][depth][2]; bytes: [channels / 4][taps or depth] */
  const edgeq_thumb_start *starts; /* [channels / 4]; bytes: biases, int32 [channels] */
  const edgeq_scale *scales;       /* [channels] */
  int32_t depth;                   /* inputs of an output, a multiple of four */
  int32_t channels;                /* in one pass over all positions, a multiple of four */
  int32_t in_zero, out_zero;
  int32_t act_min, act_max;
} edgeq_thumb_conv_params;

/* sums[4 * groups] = starts + weights * column; column: depth bytes, aligned to four. */
void edgeq_thumb_mat_vec(const uint32_t *weights, const int8_t *column, int32_t depth,
                         const edgeq_thumb_start *starts, int32_t *sums, int32_t groups);

/* The same from weights as bytes, [channels / 4][depth], and biases. */
void edgeq_thumb_mat_vec_bytes(const uint32_t *weights, const int8_t *column, int32_t depth, const int32_t *biases,
                               int32_t *sums, int32_t groups);

/* sums[4 * groups] = biases + weights * what the taps point to, four channels after four. */
void edgeq_thumb_taps(const uint32_t *weights, const int8_t *const *taps, int32_t count, const int32_t *biases,
                      int32_t *sums, int32_t groups);

void edgeq_conv_2d_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_pointwise_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out);
void edgeq_depthwise_conv_2d_s8_thumb(const edgeq_thumb_conv_params *p, const int8_t *in, int8_t *out,
                                      void *scratch);

/* Sums to bytes. */
static inline void edgeq_thumb_bytes(const edgeq_thumb_conv_params *p, const int32_t *sums, int32_t first,
                                     int32_t count, int8_t *out) {
  const edgeq_scale *scale = p->scales + first;
  const int32_t zero = p->out_zero, low = p->act_min, high = p->act_max;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t value = edgeq_wrapping_add(edgeq_requantize(sums[i], scale[i]), zero);
    out[i] = (int8_t)edgeq_clamp(value, low, high);
  }
}

/* `count` outputs of one position from channel `first` on, to where they belong. */
static inline void edgeq_thumb_position(const edgeq_thumb_conv_params *p, const int8_t *column, int32_t first,
                                        int32_t count, int8_t *to) {
  int32_t sums[EDGEQ_THUMB_CHANNELS];
  for (int32_t end = first + count; first < end; first += EDGEQ_THUMB_CHANNELS, to += EDGEQ_THUMB_CHANNELS) {
    const int32_t left = end - first;
    const int32_t part = left < EDGEQ_THUMB_CHANNELS ? left : EDGEQ_THUMB_CHANNELS;
    const uint32_t *weights = p->weights + first / 2 * p->depth;
    edgeq_thumb_mat_vec(weights, column, p->depth, p->starts + first / 4, sums, (part + 3) / 4);
    edgeq_thumb_bytes(p, sums, first, part, to);
  }
}

#endif
