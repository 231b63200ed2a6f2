/* Kernels for cores with the DSP extension (Cortex-M4, M7, M33, M35P): two 16-bit products an instruction.
 *
 * What the packing in edgeq/kernels/dsp.py and this code agree on:
 *  - K inputs of one output element are padded with zeros to a multiple of four, and in each group of four
 *    paired as (0, 2) and (1, 3): the order in which SXTB16 widens a word of four bytes.
 *  - The weights of two output channels A and B for one pair (i, j) are one word, bytes Ai Bi Aj Bj, so that
 *    SXTB16 gives (Ai, Aj) and SXTB16 with ROR #8 gives (Bi, Bj).
 *  - Activations are used as they are; -in_zero * sum(weights) is folded into the bias (exact modulo 2^32),
 *    which holds on padding too because padding is the zero point itself.
 *  - Sums stay so small that doubling them can't overflow (a rule of the kernel table), so that SMMULR of
 *    (2 * sum * 2^left) is gemmlowp's rounding doubling high multiplication; `round` holds half a unit of
 *    the right shift and the output's zero point shifted into place.
 *
 * 4-bit weights: the words of two neighbouring pairs are one, the first pair's in the high halves of its bytes, the
 * second's in the low halves. A half is used where its mask leaves it, as 16 times the weight, and so sums and
 * biases are 16 times what they are with 8 bits; a shift to the right undoes that before the multiplication (exactly:
 * the low four bits of a sum are zeros), together with the doubling and the left shift.
 */
#ifndef EDGEQ_DSP_H
#define EDGEQ_DSP_H

#include "kernels/edgeq_kernels.h"

/* shifts: bits 0..7 left shift + 1 (4-bit weights: how far their sums are shifted to the right, see above), bits
 * 8..15 right shift, bit 16: no right shift, or a clamp tighter than int8, so that the careful path must be taken. */
typedef struct {
  int32_t multiplier;
  int32_t round;
  uint32_t shifts;
} edgeq_dsp_scale;

/* A tile of the matrix product; offsets are known to mat_mul_s8_dsp.S. */
typedef struct {
  const int16_t *columns;        /*  0: pairs of four pixels in turn: [pairs][4][2] */
  const int8_t *weights;         /*  4 */
  const int32_t *bias;           /*  8 */
  const edgeq_dsp_scale *scales; /* 12 */
  int8_t *out;                   /* 16: first pixel, first channel */
  int32_t out_stride;            /* 20: bytes from pixel to pixel */
  int32_t pairs;                 /* 24: K / 2, even */
  int32_t channels;              /* 28 */
  int32_t act_min;               /* 32 */
  int32_t act_max;               /* 36 */
} edgeq_dsp_tile;

/* A run of pixels, two at a time, by groups of four channels, with paired weights: of channels A and B each half word is
 * 256 * B + A as one signed number, words as for edgeq_dsp_tile. Offsets are known to mat_mul_paired_dsp.inc. */
typedef struct {
  const int16_t *columns; /*  0: [tiles][K / 2][2 pixels][2] */
  const int8_t *weights;  /*  4: [groups][K / 2][2 words] */
  const int32_t *records; /*  8: for each group what its channels' requantization takes */
  int8_t *out;            /* 12: first pixel, first channel */
  int32_t out_stride;     /* 16: bytes from pixel to pixel */
  int32_t depth_bytes;    /* 20: of a tile's columns, and of a group's weights: 4 * K */
  int32_t tiles;          /* 24: pairs of pixels, > 0 */
  int32_t groups;         /* 28 */
  int32_t gaps[3];        /* 32: mat_mul_rgb_dsp.inc: bytes from a widened row of a window to the next, and to the next tile */
} edgeq_dsp_tiles;

/* A row of outputs, two pixels at a time, by groups of four channels, with paired weights; the input is a band of widened
 * rows. Offsets are known to mat_mul_band_dsp.inc. */
typedef struct {
  const void *band;       /*  0: the first window */
  const int8_t *weights;  /*  4: as for edgeq_dsp_tiles, but that pairs are in the order of the filter's rows */
  const int32_t *records; /*  8 */
  int8_t *out;            /* 12: first pixel, first channel */
  int32_t out_stride;     /* 16: bytes from pixel to pixel */
  int32_t depth_bytes;    /* 20: of a group's weights: 4 * K */
  int32_t tiles;          /* 24: pairs of pixels, > 0 */
  int32_t groups;         /* 28 */
  int32_t segment;        /* 32: bytes of a group's weights for one row of the filter, a whole number of turns */
  int32_t gap;            /* 36: bytes of the band from the end of a row of the window to the next row */
  int32_t step;           /* 40: bytes of the band from a pair of pixels to the next */
  int32_t room;           /* 44: bytes of stack that a group's weights are copied to, or 0 */
  void *copy;             /* 48: where they are copied to otherwise, or NULL */
} edgeq_dsp_band_tiles;

typedef struct {
  edgeq_window window;
  edgeq_dsp_band_tiles tiles; /* but for `band`, `out` and `copy` */
  int32_t band_row;           /* bytes from one widened input row to the next */
  int32_t band_bytes;         /* of all rows, with padding that the last one has to itself */
  int32_t copied;             /* whether a group's weights are copied behind the band */
  int32_t in_zero;
  void (*multiply)(const edgeq_dsp_band_tiles *tiles);
} edgeq_dsp_band_params;

typedef struct {
  edgeq_window window;
  edgeq_dsp_tiles tiles; /* but for `columns`, `out`, `tiles` and `gaps` */
  int32_t row;           /* bytes of a widened input row with its padding */
  int32_t in_zero;
  void (*multiply)(const edgeq_dsp_tiles *tiles);
} edgeq_dsp_rgb_params;

/* How a window is gathered; offsets are known to gather_dsp.S. */
typedef struct {
  int8_t *rest;       /*  0: room for what a window's rows have beyond whole words, in words */
  int32_t rows;       /*  4: > 0 */
  int32_t whole;      /*  8: bytes of a row in whole words */
  int32_t aside;      /* 12: bytes of a row beyond that */
  int32_t step;       /* 16: bytes from the end of a row to the next one */
  int32_t rest_words; /* 20 */
} edgeq_dsp_gather_shape;

/* Rows of a matrix times one vector; offsets are known to mat_vec_s8_dsp.S. */
typedef struct {
  const int16_t *column;         /*  0: [pairs][2] */
  const int8_t *weights;         /*  4: eight rows a time, [pairs][4 words]; the rest two a time, [pairs][1] */
  const int32_t *bias;           /*  8 */
  const edgeq_dsp_scale *scales; /* 12 */
  int8_t *out;                   /* 16 */
  int32_t scale_step;            /* 20: bytes */
  int32_t pairs;                 /* 24 */
  int32_t rows;                  /* 28 */
  int32_t act_min;               /* 32 */
  int32_t act_max;               /* 36 */
} edgeq_dsp_rows;

typedef struct {
  edgeq_window window;
  const int8_t *weights; /* packed */
  const int32_t *bias;   /* with the input's zero point folded in; padded to an even count */
  const edgeq_dsp_scale *scales;
  int32_t depth; /* K, padded to a multiple of four */
  int32_t sideways; /* depthwise 3x3: 1 where it walks along columns */
  int32_t in_zero;
  int32_t act_min, act_max;
  void (*multiply)(const edgeq_dsp_tile *tile); /* the matrix product for the weights' width; not depthwise */
  int32_t unpacked;                             /* depthwise, int4: bytes of the weights once unpacked */
} edgeq_dsp_conv_params;

typedef struct {
  edgeq_window window;
  const int8_t *weights;
  const int32_t *records;
  int32_t depth; /* K, padded to a multiple of four */
  int32_t chunk; /* pairs of pixels at a time */
  int32_t band_row; /* bytes of an input row with its padding; not 1x1 */
  int32_t in_zero;
  void (*multiply)(const edgeq_dsp_tiles *tiles);
} edgeq_dsp_paired_params;

typedef struct {
  int32_t rows, depth; /* depth padded to a multiple of four */
  int32_t depth_used;
  int32_t outputs;
  const int8_t *weights;
  const int32_t *bias;
  const edgeq_dsp_scale *scales;
  int32_t scale_step; /* bytes from one output's scale to the next: 0 or sizeof(edgeq_dsp_scale) */
  int32_t act_min, act_max;
  void (*multiply)(const edgeq_dsp_rows *rows);
} edgeq_dsp_fully_connected_params;

/* An output is (256 * a * m0 >> 16) + (256 * b * m1 >> 16) + constant >> 21. */
typedef struct {
  int32_t count;
  int32_t m0, m1, constant;
} edgeq_dsp_add_params;

/* Rows of paired weights times one vector of bytes; offsets are known to mat_vec_paired_dsp.inc. */
typedef struct {
  const int8_t *in;       /*  0 */
  const int8_t *weights;  /*  4: eight rows a time, [depth / 2][4 words]; the rest two a time, [depth / 2][1] */
  const int32_t *bias;    /*  8: odd rows: 256 times, and the even row's */
  const int32_t *records; /* 12: three words a row, or for all even and all odd rows */
  int32_t back;           /* 16: after two rows: 0, or -24 where all share them */
  int8_t *out;            /* 20 */
  int32_t depth;          /* 24: a multiple of four */
  int32_t rows;           /* 28 */
} edgeq_dsp_paired_rows;

typedef struct {
  edgeq_dsp_paired_rows rows; /* but for `in` and `out` */
  int32_t batches;
  void (*multiply)(const edgeq_dsp_paired_rows *rows);
} edgeq_dsp_paired_fc_params;

/* What a 3x3 depthwise convolution needs to know of a channel; offsets are known to depthwise_3x3_s8_dsp.S. */
typedef struct {
  int32_t weights[6]; /*  0: for each filter row (k0, k1) and (k1, k2) */
  int32_t bias;       /* 24 */
  int32_t multiplier; /* 28 */
  int32_t round;      /* 32 */
  int32_t right;      /* 36: > 0 */
} edgeq_dsp_channel;

/* A row of outputs of four channels. */
typedef struct {
  const int16_t *rows[3];            /*  0: the first channel's input rows; the others' follow each */
  int8_t *out;                       /* 12: the first channel's first output */
  const edgeq_dsp_channel *channels; /* 16 */
  int32_t step;                      /* 20: bytes from output to output */
  int32_t count;                     /* 24: outputs in the row */
  int32_t row_bytes;                 /* 28: from one channel's input row to the next one's */
} edgeq_dsp_row;

void edgeq_dsp_depthwise_3x3_row_1(const edgeq_dsp_row *row); /* stride 1 */
void edgeq_dsp_depthwise_3x3_row_2(const edgeq_dsp_row *row); /* stride 2 */
void edgeq_dsp_mat_mul_4(const edgeq_dsp_tile *tile);
void edgeq_dsp_mat_mul_4_s4(const edgeq_dsp_tile *tile);
void edgeq_dsp_mat_mul_4_top4(const edgeq_dsp_tile *tile); /* of int8 weights the four highest bits */
void edgeq_dsp_mat_mul_4_top2(const edgeq_dsp_tile *tile);
void edgeq_dsp_mat_mul_band_32_8_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_32_8_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_32_12_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_32_12_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_64_8_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_64_8_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_64_12_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_64_12_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_128_8_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_128_8_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_128_12_high(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_mat_mul_band_128_12_exact(const edgeq_dsp_band_tiles *tiles);
void edgeq_dsp_gather(const edgeq_dsp_gather_shape *g, const int8_t *from, uint32_t *to);
void edgeq_dsp_widen_pairs(const int8_t *in, int32_t depth, int32_t pairs, void *to, int32_t step);
void edgeq_dsp_mat_mul_8_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_16_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_24_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_32_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_rgb_1_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_rgb_1_exact(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_rgb_2_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_rgb_2_exact(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_paired_high(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_mul_paired_exact(const edgeq_dsp_tiles *tiles);
void edgeq_dsp_mat_vec(const edgeq_dsp_rows *rows);
void edgeq_dsp_mat_vec_s4(const edgeq_dsp_rows *rows);
void edgeq_dsp_mat_vec_top4(const edgeq_dsp_rows *rows);
void edgeq_dsp_mat_vec_top2(const edgeq_dsp_rows *rows);

void edgeq_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_conv_2d_few_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_pointwise_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_pointwise_conv_2d_paired_s8_dsp(const edgeq_dsp_paired_params *p, const int8_t *in, int8_t *out,
                                           void *scratch);
void edgeq_conv_2d_band_s8_dsp(const edgeq_dsp_band_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_conv_2d_rgb_s8_dsp(const edgeq_dsp_rgb_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_conv_2d_paired_s8_dsp(const edgeq_dsp_paired_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_depthwise_conv_2d_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_depthwise_3x3_s8_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_depthwise_conv_2d_s4_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_depthwise_3x3_s4_dsp(const edgeq_dsp_conv_params *p, const int8_t *in, int8_t *out, void *scratch);
void edgeq_add_s8_dsp(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out,
                      void *scratch);
void edgeq_average_pool_2d_s8_dsp(const edgeq_pool_params *p, const int8_t *in, int8_t *out);
void edgeq_add_weighted_s8_dsp(const edgeq_dsp_add_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);
void edgeq_dsp_mat_vec_paired_affine(const edgeq_dsp_paired_rows *rows);
void edgeq_dsp_mat_vec_paired_exact(const edgeq_dsp_paired_rows *rows);
void edgeq_fully_connected_paired_s8_dsp(const edgeq_dsp_paired_fc_params *p, const int8_t *in, int8_t *out);
void edgeq_fully_connected_s8_dsp(const edgeq_dsp_fully_connected_params *p, const int8_t *in, int8_t *out,
                                  void *scratch);

/* ---- one instruction each; any compiler that knows the cores knows these ---- */

static inline uint32_t edgeq_load4(const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4); /* one LDR: these cores load unaligned words */
  return word;
}

static inline int32_t edgeq_sxtb16(uint32_t x) {
  int32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
  return result;
}

static inline int32_t edgeq_sxtb16_ror8(uint32_t x) {
  int32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
  return result;
}

static inline int32_t edgeq_smlad(int32_t a, int32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

static inline int32_t edgeq_smmulr(int32_t a, int32_t b) {
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline int32_t edgeq_ssat8(int32_t x) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return result;
}

/* (low half of a, low half of b) and (high half of a, high half of b). */
static inline int32_t edgeq_pack_low(int32_t a, int32_t b) {
  int32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline int32_t edgeq_pack_high(int32_t a, int32_t b) {
  int32_t result;
  __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* A sum brought to the output's scale, rounded like the reference, clamped. */
static inline int32_t edgeq_dsp_finish(int32_t sum, const edgeq_dsp_scale *s, int32_t act_min, int32_t act_max) {
  int32_t y = edgeq_smmulr((int32_t)((uint32_t)sum << (s->shifts & 0xffu)), s->multiplier);
  const uint32_t right = (s->shifts >> 8) & 0xffu;
  if (right) y += y >> 31;
  y = (y + s->round) >> right;
  return edgeq_clamp(y, act_min, act_max);
}

#endif
