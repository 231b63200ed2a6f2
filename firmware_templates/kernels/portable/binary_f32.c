#include "kernels/edgeq_broadcast.h"
#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

#define ADD(p, a, b) edgeq_clampf((a) + (b), p->act_min, p->act_max)
#define SUB(p, a, b) edgeq_clampf((a) - (b), p->act_min, p->act_max)
#define MUL(p, a, b) edgeq_clampf((a) * (b), p->act_min, p->act_max)
#define DIV(p, a, b) edgeq_clampf((a) / (b), p->act_min, p->act_max)
#define GREATER(p, a, b) ((a) > (b) ? (a) : (b))
#define LESS(p, a, b) ((a) < (b) ? (a) : (b))
#define SQUARED_DIFFERENCE(p, a, b) (((a) - (b)) * ((a) - (b)))
#define PRELU(p, a, b) ((a) >= 0.0f ? (a) : (a) * (b))
#define FLOOR_DIV(p, a, b) edgeq_floorf((a) / (b))

EDGEQ_BROADCAST(edgeq_add_f32, edgeq_float_params, float, float, ADD)
EDGEQ_BROADCAST(edgeq_sub_f32, edgeq_float_params, float, float, SUB)
EDGEQ_BROADCAST(edgeq_mul_f32, edgeq_float_params, float, float, MUL)
EDGEQ_BROADCAST(edgeq_div_f32, edgeq_float_params, float, float, DIV)
EDGEQ_BROADCAST(edgeq_maximum_f32, edgeq_float_params, float, float, GREATER)
EDGEQ_BROADCAST(edgeq_minimum_f32, edgeq_float_params, float, float, LESS)
EDGEQ_BROADCAST(edgeq_squared_difference_f32, edgeq_float_params, float, float, SQUARED_DIFFERENCE)
EDGEQ_BROADCAST(edgeq_prelu_f32, edgeq_float_params, float, float, PRELU)
EDGEQ_BROADCAST(edgeq_floor_div_f32, edgeq_float_params, float, float, FLOOR_DIV)
