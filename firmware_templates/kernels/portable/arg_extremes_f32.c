#include "kernels/edgeq_reduce.h"
#include "kernels/edgeq_reduction.h"

EDGEQ_ARG(edgeq_arg_max_f32, float, >)
EDGEQ_ARG(edgeq_arg_min_f32, float, <)
