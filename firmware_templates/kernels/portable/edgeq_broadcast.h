/* Element-wise operators of two inputs, with broadcasting: the loops, once for all of them. */
#ifndef EDGEQ_BROADCAST_H
#define EDGEQ_BROADCAST_H

#include "kernels/edgeq_kernels.h"

/* Defines a kernel: five counted loops and a tight inner one; the sizes of unused dimensions are 1. The inner loop
 * reads an element before it writes one, so that the output may lie over an input of the same shape.
 * PARAMS has size[6], stride0[6] and stride1[6]; ELEMENT(p, a, b) is the value of one output element. */
#define EDGEQ_BROADCAST(NAME, PARAMS, IN, OUT, ELEMENT)                                                              \
  void NAME(const PARAMS *p, const IN *in0, const IN *in1, OUT *out) {                                               \
    const int32_t *n = p->size, *s = p->stride0, *t = p->stride1;                                                    \
    for (int32_t a = 0; a < n[0]; ++a)                                                                               \
      for (int32_t b = 0; b < n[1]; ++b)                                                                             \
        for (int32_t c = 0; c < n[2]; ++c)                                                                           \
          for (int32_t d = 0; d < n[3]; ++d)                                                                         \
            for (int32_t e = 0; e < n[4]; ++e) {                                                                     \
              const IN *x = in0 + (a * s[0] + b * s[1] + c * s[2] + d * s[3] + e * s[4]);                            \
              const IN *y = in1 + (a * t[0] + b * t[1] + c * t[2] + d * t[3] + e * t[4]);                            \
              for (int32_t f = 0; f < n[5]; ++f, x += s[5], y += t[5]) *out++ = ELEMENT(p, *x, *y);                  \
            }                                                                                                        \
  }

#endif
