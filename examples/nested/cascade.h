#ifndef CASCADE_H
#define CASCADE_H

#include <stdint.h>

/* Classify an image. Returns the bits of the inference whose output is in the arena then.
 * sure: a margin between the two best classes, in steps of the output, from which two bits are enough. */
unsigned cascade(uint8_t *arena, const int8_t *image, int sure, int battery_is_low);

#endif
