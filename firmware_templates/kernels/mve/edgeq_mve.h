/* Kernels for cores with Helium (M-profile Vector Extension: Cortex-M55, M85): sixteen int8 products an instruction.
 *
 * What edgeq/kernels/mve.py and this code agree on:
 *  - Weights of a matrix product are [channels][depth] as in the file: loops end with predicated lanes, nothing is padded
 *    but an odd last channel. Activations are used as they are; -in_zero * sum(weights) is folded into the bias (exact
 *    modulo 2^32), which holds on padding too because padding is the zero point itself.
 *  - Channels are brought to the output's scale sixteen at a time, in four vectors: channels 0 4 8 12, 1 5 9 13, 2 6 10 14
 *    and 3 7 11 15, which VQMOVNB and VQMOVNT weave into the order of memory. Scales (and depthwise biases) lie in that
 *    order: per sixteen channels the multipliers of the first two vectors, their shifts, then those of the other two.
 *  - VQRDMULH is gemmlowp's rounding doubling high multiplication, ties and saturation included. VRSHL shifts right with
 *    ties up where the reference has them away from zero: negative numbers are lowered by one first, where that can be
 *    seen in the output (EDGEQ_MVE_TIES_*).
 */
#ifndef EDGEQ_MVE_H
#define EDGEQ_MVE_H

#include "kernels/edgeq_kernels.h"

/* How negative ties are rounded: not seen, because the clamp takes all that is below the zero point; every shift is at
 * least one bit; some shift is none. */
#define EDGEQ_MVE_TIES_UNSEEN 0
#define EDGEQ_MVE_TIES_SHIFTED 1
#define EDGEQ_MVE_TIES_ANY 2

/* Channels whose sums are kept before they are brought to the output's scale. */
#define EDGEQ_MVE_CHUNK 64

typedef struct {
  int32_t out_zero, act_min, act_max;
  int32_t ties;
} edgeq_mve_output;

/* Three pixels times up to EDGEQ_MVE_CHUNK channels; offsets are known to mat_mul_s8_mve.S. */
typedef struct {
  int32_t beyond;        /*  0: what the last vector of `depth` bytes reaches beyond it */
  const int8_t *in[3];   /*  4 */
  int32_t depth;         /* 16 */
  const int32_t *last;   /* 20: where the last pair of channels goes */
  const int8_t *weights; /* 24 */
  const int32_t *bias;   /* 28 */
  int32_t *sums;         /* 32: [3][EDGEQ_MVE_CHUNK] */
} edgeq_mve_tile;

/* Rows of a matrix times one vector, four at a time; offsets are known to mat_vec_s8_mve.S. */
typedef struct {
  int32_t beyond;        /*  0 */
  int32_t row_bytes;     /*  4: from row to row */
  int32_t depth;         /*  8 */
  const int8_t *in;      /* 12 */
  const int8_t *weights; /* 16 */
  const int32_t *bias;   /* 20 */
  int32_t *sums;         /* 24 */
  int32_t blocks;        /* 28: of four rows */
} edgeq_mve_rows;

/* Sums on their way to the output's scale; offsets are known to requantize_mve.S. */
typedef struct {
  const int32_t *sums;     /*  0: rows EDGEQ_MVE_CHUNK apart */
  const int32_t *scales;   /*  4 */
  int8_t *out;             /*  8 */
  int32_t channels;        /* 12 */
  int32_t rows;            /* 16 */
  int32_t out_stride;      /* 20: bytes from row to row */
  int32_t rewind;          /* 24: bytes to go back in the scales after sixteen channels: 128 where all share one */
  int32_t out_zero;        /* 28 */
  int32_t act_min;         /* 32 */
  int32_t act_max;         /* 36 */
  int32_t ties;            /* 40 */
} edgeq_mve_sums;

/* A run of pixels of a depthwise convolution; offsets are known to depthwise_conv_2d_s8_mve.S. */
typedef struct {
  const int32_t *taps;   /*  0: bytes from the window's first pixel to each tap, an even count */
  int32_t pairs;         /*  4: of taps */
  const int8_t *in;      /*  8: the first window */
  int32_t step;          /* 12: bytes from window to window */
  int8_t *out;           /* 16 */
  int32_t pixels;        /* 20 */
  int32_t channels;      /* 24: a multiple of four */
  const int8_t *weights; /* 28: [channels / 16][2 * pairs][16] */
  const int32_t *bias;   /* 32 */
  const int32_t *scales; /* 36 */
  int32_t out_zero;      /* 40 */
  int32_t act_min;       /* 44 */
  int32_t act_max;       /* 48 */
  int32_t ties;          /* 52 */
} edgeq_mve_run;

typedef struct {
  edgeq_window window;
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *scales;
  int32_t depth; /* inputs of one output element; depthwise: taps, made even */
  int32_t in_zero;
  edgeq_mve_output output;
} edgeq_mve_conv_params;

typedef struct {
  int32_t rows, depth, outputs;
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *scales;
  int32_t rewind; /* as above */
  edgeq_mve_output output;
} edgeq_mve_fully_connected_params;

/* out = in0 * scale0 + in1 * scale1; the reference's arithmetic, in which the input with the larger scale is halved. */
typedef struct {
  int32_t count;
  int32_t zero;        /*  4: of the input with the smaller scale */
  int32_t left;        /*  8: its left shift */
  int32_t multiplier;  /* 12 */
  int32_t shift;       /* 16: to the left, negative */
  int32_t factor;      /* 20: of the other input: half its left shift's power of two */
  int32_t offset;      /* 24: -zero * factor of the other */
  int32_t out_multiplier; /* 28 */
  int32_t out_shift;      /* 32 */
  int32_t out_zero;       /* 36 */
  int32_t act_min;        /* 40 */
  int32_t act_max;        /* 44 */
} edgeq_mve_add_params;

void edgeq_pointwise_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_depthwise_conv_2d_s8_mve(const edgeq_mve_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_fully_connected_s8_mve(const edgeq_mve_fully_connected_params *p, const int8_t *in, int8_t *out,
                                  void *scratch);
void edgeq_add_s8_mve(const edgeq_mve_add_params *p, const int8_t *small, const int8_t *large, int8_t *out);
void edgeq_average_pool_2d_s8_mve(const edgeq_pool_params *p, const int8_t *in, int8_t *out);
void edgeq_max_pool_2d_s8_mve(const edgeq_pool_params *p, const int8_t *in, int8_t *out);

/* ---- what they are made of ---- */

void edgeq_mve_mat_mul_3(const edgeq_mve_tile *tile);
void edgeq_mve_mat_vec_4(const edgeq_mve_rows *rows);
void edgeq_mve_requantize(const edgeq_mve_sums *sums);
void edgeq_mve_depthwise(const edgeq_mve_run *run);

/* All channels of three pixels: the matrix product and its way to the output, EDGEQ_MVE_CHUNK channels at a time.
 * sums: [3][EDGEQ_MVE_CHUNK]. out: the first pixel's; the others follow. pixels: how many of the three are wanted. */
void edgeq_mve_three_pixels(const edgeq_mve_conv_params *p, const int8_t *const in[3], int32_t pixels, int8_t *out,
                            int32_t *sums);

/* All rows of a matrix times one vector. sums: [EDGEQ_MVE_CHUNK]. */
void edgeq_mve_vector(const edgeq_mve_fully_connected_params *p, const int8_t *in, int8_t *out, int32_t *sums);

/* bytes > 0 */
static inline void edgeq_mve_copy(int8_t *to, const int8_t *from, int32_t bytes) {
  __asm volatile(
      "dlstp.8 lr, %2\n"
      "1: vldrb.u8 q0, [%1], #16\n"
      "vstrb.8 q0, [%0], #16\n"
      "letp lr, 1b\n"
      : "+r"(to), "+r"(from)
      : "r"(bytes)
      : "lr", "d0", "d1", "memory");
}

static inline void edgeq_mve_fill(int8_t *to, int32_t value, int32_t bytes) {
  __asm volatile(
      "vdup.8 q0, %1\n"
      "dlstp.8 lr, %2\n"
      "1: vstrb.8 q0, [%0], #16\n"
      "letp lr, 1b\n"
      : "+r"(to)
      : "r"(value), "r"(bytes)
      : "lr", "d0", "d1", "memory");
}

/* To a whole number of vectors. */
static inline int32_t edgeq_mve_whole(int32_t bytes) { return (bytes + 15) & ~15; }

#endif
