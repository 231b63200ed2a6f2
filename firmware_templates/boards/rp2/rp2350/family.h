/* RP2350: where things are (RP2350 Datasheet, section 2.2 and the chapters of each block). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include <stdint.h>

#include "board/core.h"

#define CLOCKS_BASE     0x40010000u
#define RESETS_BASE     0x40020000u
#define RESETS_IO_BANK0    BIT(6)
#define RESETS_PADS_BANK0  BIT(9)
#define RESETS_PLL_SYS     BIT(14)
#define RESETS_TIMER       BIT(23)
#define RESETS_UART0       BIT(26)
#define RESETS_UART1       BIT(27)
#define IO_BANK0_BASE   0x40028000u
#define PADS_BANK0_BASE 0x40038000u
#define XOSC_BASE       0x40048000u
#define PLL_SYS_BASE    0x40050000u
#define TIMER_BASE      0x400B0000u
#define SIO_GPIO_OUT_SET REGISTER(0xD0000018u)
#define SIO_GPIO_OUT_CLR REGISTER(0xD0000020u)
#define SIO_GPIO_OE_SET  REGISTER(0xD0000038u)

#define PLL_DIVIDER_1 5u /* multiples of 6 MHz from 78 to 156 */
#define PLL_DIVIDER_2 2u

#define TICKS_TIMER0_CTRL   REGISTER(0x40108018u)
#define TICKS_TIMER0_CYCLES REGISTER(0x4010801Cu)

/* The timer has a tick generator of its own: the reference clock divided by `cycles`. */
static inline void ticks_init(uint32_t cycles) {
    TICKS_TIMER0_CYCLES = cycles;
    TICKS_TIMER0_CTRL = 1;
}

#endif
