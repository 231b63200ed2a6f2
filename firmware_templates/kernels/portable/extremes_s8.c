#include "kernels/edgeq_binary.h"
#include "kernels/edgeq_broadcast.h"

#define GREATER(p, a, b) ((a) > (b) ? (a) : (b))
#define LESS(p, a, b) ((a) < (b) ? (a) : (b))

EDGEQ_BROADCAST(edgeq_maximum_s8, edgeq_integer_params, int8_t, int8_t, GREATER)
EDGEQ_BROADCAST(edgeq_minimum_s8, edgeq_integer_params, int8_t, int8_t, LESS)
