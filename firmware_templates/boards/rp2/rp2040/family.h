/* RP2040: where things are (RP2040 Datasheet, section 2.2 and the chapters of each block). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include <stdint.h>

#include "board/core.h"

#define CLOCKS_BASE     0x40008000u
#define RESETS_BASE     0x4000C000u
#define RESETS_IO_BANK0    BIT(5)
#define RESETS_PADS_BANK0  BIT(8)
#define RESETS_PLL_SYS     BIT(12)
#define RESETS_TIMER       BIT(21)
#define RESETS_UART0       BIT(22)
#define RESETS_UART1       BIT(23)
#define IO_BANK0_BASE   0x40014000u
#define PADS_BANK0_BASE 0x4001C000u
#define XOSC_BASE       0x40024000u
#define PLL_SYS_BASE    0x40028000u
#define TIMER_BASE      0x40054000u
#define SIO_GPIO_OUT_SET REGISTER(0xD0000014u)
#define SIO_GPIO_OUT_CLR REGISTER(0xD0000018u)
#define SIO_GPIO_OE_SET  REGISTER(0xD0000024u)

#define PLL_DIVIDER_1 6u /* whole numbers of MHz from 63 to 133 */
#define PLL_DIVIDER_2 2u

#define WATCHDOG_TICK   REGISTER(0x4005802Cu)
#define WATCHDOG_TICK_ENABLE BIT(9)

/* The timer counts the watchdog's ticks: the reference clock divided by `cycles`. */
static inline void ticks_init(uint32_t cycles) {
    WATCHDOG_TICK = WATCHDOG_TICK_ENABLE | cycles;
}

#endif
