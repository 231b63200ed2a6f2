/* What the nRF52 and nRF53 have in common. family.h has the places. Product Specifications of the nRF52840 (chapters
 * UARTE, TIMER, GPIO) and the nRF5340 (the same chapters), whose blocks are alike but for the GPIO's offsets. */
#ifndef EDGEQ_BOARD_NORDIC_H
#define EDGEQ_BOARD_NORDIC_H

#include <stdint.h>

#include "board/config.h"
#include "board/core.h"
#include "board/family.h"

/* Until an event has come. Bounded, so that one that never comes leaves a console that can tell of it. */
static inline void wait_for_event(volatile uint32_t *event) {
    for (uint32_t left = 1000000; left != 0 && *event == 0; --left) {
    }
}

#define GPIO(port, offset) REGISTER(GPIO_BASE + 0x300u * (port) + (offset))

#endif
