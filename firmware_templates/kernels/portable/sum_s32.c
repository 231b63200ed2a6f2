#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_REDUCTION(edgeq_sum_s32, edgeq_reduce_params, int32_t, 0, edgeq_wrapping_add)
