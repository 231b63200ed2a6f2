#include "kernels/edgeq_integers.h"

#define FLOOR_DIV(p, a, b) (int8_t)edgeq_floor_div(a, b)
#define FLOOR_MOD(p, a, b) (int8_t)edgeq_floor_mod(a, b)

EDGEQ_BROADCAST(edgeq_floor_div_s8, edgeq_integer_params, int8_t, int8_t, FLOOR_DIV)
EDGEQ_BROADCAST(edgeq_floor_mod_s8, edgeq_integer_params, int8_t, int8_t, FLOOR_MOD)
