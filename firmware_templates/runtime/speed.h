/* The console's speed: raised by `edgeq baud N%`, and back at the usual one when the host doesn't follow or is gone. */
#ifndef EDGEQ_RUNTIME_SPEED_H
#define EDGEQ_RUNTIME_SPEED_H

#include <stdint.h>

/* The fastest the board's console can be set to, in baud; 0 where its speed is fixed. */
uint32_t speed_max(void);

/* Go to `baud` after the answer to the command at hand. 0 where the console can't. */
int speed_request(uint32_t baud);

/* The answer has been given: change now, if asked to. */
void speed_apply(void);

/* Something came that no host sends: a byte that isn't text, or a command that doesn't exist. At the usual speed that
 * is nobody's business; at another one, the second of them in a row says that the host doesn't have it. */
void speed_noise(void);

/* A command was understood. */
void speed_good(void);

#endif
