#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_ARG(edgeq_arg_max_s32, int32_t, >)
EDGEQ_ARG(edgeq_arg_min_s32, int32_t, <)
