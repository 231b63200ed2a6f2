#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

#define MOST 3.402823466e+38f

EDGEQ_REDUCTION(edgeq_reduce_max_f32, edgeq_reduce_params, float, -MOST, EDGEQ_LARGER)
EDGEQ_REDUCTION(edgeq_reduce_min_f32, edgeq_reduce_params, float, MOST, EDGEQ_SMALLER)
