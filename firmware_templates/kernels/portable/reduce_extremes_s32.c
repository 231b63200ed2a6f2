#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_REDUCTION(edgeq_reduce_max_s32, edgeq_reduce_params, int32_t, INT32_MIN, EDGEQ_LARGER)
EDGEQ_REDUCTION(edgeq_reduce_min_s32, edgeq_reduce_params, int32_t, INT32_MAX, EDGEQ_SMALLER)
