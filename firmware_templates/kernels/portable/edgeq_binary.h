/* Element-wise operators of two inputs, with broadcasting. */
#ifndef EDGEQ_BINARY_H
#define EDGEQ_BINARY_H

#include "kernels/edgeq_kernels.h"

void edgeq_sub_s8(const edgeq_binary_params *p, const int8_t *in0, const int8_t *in1, int8_t *out);

#endif
