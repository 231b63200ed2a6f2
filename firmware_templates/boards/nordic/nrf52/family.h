/* nRF52840: where things are (Product Specification, chapters "Memory" and of each block). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#define TIMER0_BASE  0x40008000u
#define GPIO_BASE    0x50000000u
#define GPIO_OUTSET  0x508u
#define GPIO_OUTCLR  0x50Cu
#define GPIO_DIRSET  0x518u
#define GPIO_PIN_CNF 0x700u /* a word a pin */

#endif
