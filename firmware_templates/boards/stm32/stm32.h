/* What the families of STM32 have in common: ports, the 32-bit timer TIM2, USARTs. family.h has the places. */
#ifndef EDGEQ_BOARD_STM32_H
#define EDGEQ_BOARD_STM32_H

#include <stdint.h>

#include "board/config.h"
#include "board/core.h"
#include "board/family.h"

/* Until bits read as they should. Bounded, so that a flag that never comes (a broken oscillator, an emulator without
 * that register) leaves a console that can tell of it. */
static inline void wait_for(volatile uint32_t *address, uint32_t mask, uint32_t value) {
    for (uint32_t left = 100000; left != 0 && (*address & mask) != value; --left) {
    }
}

/* Give a block its clock. Reading back is the delay that it needs before its first access. */
static inline void clock_on(volatile uint32_t *enable, uint32_t bit) {
    *enable |= bit;
    (void)*enable;
}

/* GPIO, as in every family: RM0432 chapter 8, RM0090 chapter 8, RM0433 chapter 11. */
#define GPIO(port, offset) REGISTER(GPIO_BASE + 0x400u * (port) + (offset))
#define GPIO_MODER   0x00u /* two bits a pin */
#define GPIO_MODE_OUTPUT    1u
#define GPIO_MODE_ALTERNATE 2u
#define GPIO_PUPDR   0x0Cu /* two bits a pin */
#define GPIO_PULL_NONE      0u
#define GPIO_PULL_UP        1u
#define GPIO_BSRR    0x18u /* bit n sets pin n, bit n + 16 clears it */
#define GPIO_AFR(pin) (0x20u + ((pin) / 8u) * 4u) /* four bits a pin */

#endif
