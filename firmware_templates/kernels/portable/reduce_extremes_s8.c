#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_REDUCTION(edgeq_reduce_max_s8, edgeq_reduce_params, int8_t, INT8_MIN, EDGEQ_LARGER)
EDGEQ_REDUCTION(edgeq_reduce_min_s8, edgeq_reduce_params, int8_t, INT8_MAX, EDGEQ_SMALLER)
