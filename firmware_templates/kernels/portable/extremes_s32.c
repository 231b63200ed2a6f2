#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

#define GREATER(p, a, b) ((a) > (b) ? (a) : (b))
#define LESS(p, a, b) ((a) < (b) ? (a) : (b))

EDGEQ_BROADCAST(edgeq_maximum_s32, edgeq_integer_params, int32_t, int32_t, GREATER)
EDGEQ_BROADCAST(edgeq_minimum_s32, edgeq_integer_params, int32_t, int32_t, LESS)
