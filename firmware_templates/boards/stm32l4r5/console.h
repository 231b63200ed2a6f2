/* The console's driver, as the rest of the board uses it. */
#ifndef EDGEQ_BOARD_CONSOLE_H
#define EDGEQ_BOARD_CONSOLE_H

#include <stdint.h>

/* After the clocks are set up. */
void console_init(void);

#endif
