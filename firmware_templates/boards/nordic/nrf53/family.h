/* nRF5340, application core: where things are, at their secure addresses (Product Specification, chapters "Memory" and of
 * each block). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#define TIMER0_BASE  0x5000F000u
#define GPIO_BASE    0x50842500u
#define GPIO_OUTSET  0x008u
#define GPIO_OUTCLR  0x00Cu
#define GPIO_DIRSET  0x018u
#define GPIO_PIN_CNF 0x200u /* a word a pin */

/* nRF5340 anomaly 168: the first instructions after a wake-up may come from a flash that isn't ready yet. */
#define AFTER_SLEEP ".rept 26\n nop\n .endr\n"

#endif
