/* What the RP2040 and the RP2350 have in common. family.h has the places, and what one must do that the other needn't.
 * RP2040 Datasheet sections 2.14 (resets), 2.15 (clocks), 2.16 (crystal), 2.18 (PLL), 2.19 (pins), 2.3.1 (SIO); RP2350
 * Datasheet chapters 7 to 9. */
#ifndef EDGEQ_BOARD_RP2_H
#define EDGEQ_BOARD_RP2_H

#include <stdint.h>

#include "board/config.h"
#include "board/core.h"
#include "board/family.h"

/* Until bits read as they should. Bounded, so that a flag that never comes leaves a console that can tell of it. */
static inline void wait_for(volatile uint32_t *address, uint32_t mask, uint32_t value) {
    for (uint32_t left = 1000000; left != 0 && (*address & mask) != value; --left) {
    }
}

#define RESETS_RESET  REGISTER(RESETS_BASE + 0x0u)
#define RESETS_DONE   REGISTER(RESETS_BASE + 0x8u)

/* Everything but a few blocks is held in reset until it is asked for. */
static inline void out_of_reset(uint32_t blocks) {
    RESETS_RESET &= ~blocks;
    wait_for(&RESETS_DONE, blocks, blocks);
}

/* Pins. */
#define IO_CTRL(pin)   REGISTER(IO_BANK0_BASE + 8u * (pin) + 4u)
#define IO_FUNCTION_UART 2u
#define IO_FUNCTION_SIO  5u
#define PAD(pin)       REGISTER(PADS_BANK0_BASE + 4u + 4u * (pin))
#define PAD_PULL_DOWN  BIT(2)
#define PAD_PULL_UP    BIT(3)
#define PAD_INPUT      BIT(6)
#define PAD_OUTPUT_OFF BIT(7)
#define PAD_ISOLATED   BIT(8) /* RP2350 only, and set after reset */

static inline void pin_function(uint32_t pin, uint32_t function, uint32_t pad) {
    IO_CTRL(pin) = function;
    PAD(pin) = (PAD(pin) & ~(PAD_PULL_DOWN | PAD_PULL_UP | PAD_OUTPUT_OFF | PAD_ISOLATED)) | pad;
}

#endif
