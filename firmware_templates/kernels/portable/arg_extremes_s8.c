#include "kernels/edgeq_reduce.h"

/* The first of several equal ones. */
#define EDGEQ_ARG(NAME, BETTER)                                                                       \
  void NAME(const edgeq_axis_params *p, const int8_t *in, int32_t *out) {                              \
    for (int32_t o = 0; o < p->outer; ++o, in += p->axis * p->inner) {                                \
      for (int32_t i = 0; i < p->inner; ++i) {                                                        \
        int32_t best = 0;                                                                             \
        for (int32_t a = 1; a < p->axis; ++a) {                                                       \
          if (in[a * p->inner + i] BETTER in[best * p->inner + i]) best = a;                          \
        }                                                                                             \
        *out++ = best;                                                                                \
      }                                                                                               \
    }                                                                                                 \
  }

EDGEQ_ARG(edgeq_arg_max_s8, >)
EDGEQ_ARG(edgeq_arg_min_s8, <)
