/* What a family of chips implements, and what is common to all and called by it. runtime/board.h is made of the two. */
#ifndef EDGEQ_BOARD_PARTS_H
#define EDGEQ_BOARD_PARTS_H

#include <stdint.h>

/* Each family, called once and in this order, with interrupts enabled: */
void clocks_init(void);  /* the core at EDGEQ_CLOCK_HZ, memory that is ready for it */
void micros_init(void);  /* what board_micros() reads */
void console_init(void); /* the console, with Console_IRQHandler() for what it receives */
void pin_init(void);     /* the pin of board_pin() */

/* For the console's interrupt: a byte that has come. A full buffer drops it: the protocol's hosts wait for m-ready. */
void received(uint8_t byte);

/* The handler that the vector table has at EDGEQ_CONSOLE_IRQ. */
void Console_IRQHandler(void);

/* Of cycles.c: start counting; count on after a sleep in which the counter may have stood still. */
void cycles_init(void);
void cycles_resume(void);

#endif
