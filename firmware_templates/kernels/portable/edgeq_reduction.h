/* The loops of reductions and places of extremes, once for all types. */
#ifndef EDGEQ_REDUCTION_H
#define EDGEQ_REDUCTION_H

#include "kernels/edgeq_kernels.h"

/* Each output element starts at FIRST and takes in one input after another, in the order of memory. */
#define EDGEQ_REDUCTION(NAME, PARAMS, TYPE, FIRST, TAKE)                                                   \
  void NAME(const PARAMS *p, const TYPE *in, TYPE *out) {                                                  \
    int32_t stride[6], outputs = 1;                                                                        \
    const int32_t *n = p->size;                                                                            \
    for (int32_t d = 5; d >= 0; --d) {                                                                     \
      stride[d] = p->reduce[d] ? 0 : outputs;                                                              \
      if (!p->reduce[d]) outputs *= n[d];                                                                  \
    }                                                                                                      \
    for (int32_t i = 0; i < outputs; ++i) out[i] = FIRST;                                                  \
    for (int32_t a = 0; a < n[0]; ++a)                                                                     \
      for (int32_t b = 0; b < n[1]; ++b)                                                                   \
        for (int32_t c = 0; c < n[2]; ++c)                                                                 \
          for (int32_t d = 0; d < n[3]; ++d)                                                               \
            for (int32_t e = 0; e < n[4]; ++e) {                                                           \
              TYPE *to = out + (a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3] + e * stride[4]); \
              for (int32_t f = 0; f < n[5]; ++f, to += stride[5], ++in) *to = TAKE(*to, *in);              \
            }                                                                                              \
  }

/* The place of the best along an axis, the first of several equal ones; as int64 two words, of which the second is 0. */
#define EDGEQ_ARG(NAME, TYPE, BETTER)                                                                    \
  void NAME(const edgeq_axis_params *p, const TYPE *in, int32_t *out) {                                  \
    for (int32_t o = 0; o < p->outer; ++o, in += p->axis * p->inner) {                                   \
      for (int32_t i = 0; i < p->inner; ++i) {                                                           \
        int32_t best = 0;                                                                                \
        for (int32_t a = 1; a < p->axis; ++a) {                                                          \
          if (in[a * p->inner + i] BETTER in[best * p->inner + i]) best = a;                             \
        }                                                                                                \
        *out++ = best;                                                                                   \
        if (p->out_words == 2) *out++ = 0;                                                               \
      }                                                                                                  \
    }                                                                                                    \
  }

#define EDGEQ_LARGER(a, b) ((b) > (a) ? (b) : (a))
#define EDGEQ_SMALLER(a, b) ((b) < (a) ? (b) : (a))

#endif
