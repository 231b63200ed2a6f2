#include "kernels/edgeq_integers.h"

#define FLOOR_DIV(p, a, b) (int16_t)edgeq_floor_div(a, b)
#define FLOOR_MOD(p, a, b) (int16_t)edgeq_floor_mod(a, b)

EDGEQ_BROADCAST(edgeq_floor_div_s16, edgeq_integer_params, int16_t, int16_t, FLOOR_DIV)
EDGEQ_BROADCAST(edgeq_floor_mod_s16, edgeq_integer_params, int16_t, int16_t, FLOOR_MOD)
