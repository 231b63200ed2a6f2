#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_REDUCTION(edgeq_reduce_max_s16, edgeq_reduce_params, int16_t, INT16_MIN, EDGEQ_LARGER)
EDGEQ_REDUCTION(edgeq_reduce_min_s16, edgeq_reduce_params, int16_t, INT16_MAX, EDGEQ_SMALLER)
