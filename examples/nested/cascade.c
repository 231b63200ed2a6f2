/* The precision by the input or by the battery: two bits first, and all eight where two are not sure of the answer.
 *
 * How to choose, not that it pays: on a Cortex-M4 two bits take as long as eight (docs/nested.md), so that asking twice
 * costs more than asking once.
 */
#include "cascade.h"

#include "model.h"

/* How far the best class is in front of the second, in steps of the output. */
static int margin(const int8_t *scores, unsigned count) {
  int best = -129, second = -129;
  for (unsigned i = 0; i < count; ++i) {
    if (scores[i] > best) {
      second = best;
      best = scores[i];
    } else if (scores[i] > second) {
      second = scores[i];
    }
  }
  return best - second;
}

unsigned cascade(uint8_t *arena, const int8_t *image, int sure, int battery_is_low) {
  for (unsigned i = 0; i < MODEL_INPUT_0_BYTES; ++i) model_input(arena, 0)[i] = image[i];
  model_invoke_at(arena, 2);
  if (battery_is_low || margin(model_output(arena, 0), MODEL_OUTPUT_0_BYTES) >= sure) return 2;
  /* An inference overwrites its input: fill it again. */
  for (unsigned i = 0; i < MODEL_INPUT_0_BYTES; ++i) model_input(arena, 0)[i] = image[i];
  model_invoke_at(arena, 8);
  return 8;
}
