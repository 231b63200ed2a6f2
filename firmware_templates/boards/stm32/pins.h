#ifndef EDGEQ_BOARD_PINS_H
#define EDGEQ_BOARD_PINS_H

#include <stdint.h>

#include "board/stm32.h"

/* Hand a pin to a peripheral: its alternate function, and GPIO_PULL_… */
void pin_alternate(uint32_t port, uint32_t pin, uint32_t function, uint32_t pull);

#endif
