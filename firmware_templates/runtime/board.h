/* What the runtime asks of a board. Each folder of firmware_templates/boards implements it once.
 *
 * Nothing here allocates, and nothing but board_put() waits. */
#ifndef EDGEQ_RUNTIME_BOARD_H
#define EDGEQ_RUNTIME_BOARD_H

#include <stdint.h>

/* Clocks, console, counters: called once, before anything else. */
void board_init(void);

/* Send one byte to the console; waits while the transmitter is full. */
void board_put(uint8_t byte);

/* The next byte that the console has received, or -1 when there is none. */
int board_get(void);

/* The fastest speed that the console can be given, in baud, and giving it one: after everything sent before has left
 * the wire. Boards whose console has one speed leave both out (runtime/speed.c). */
uint32_t board_max_baud(void);
void board_set_baud(uint32_t baud);

/* Sleep until there may be something to get. May return early, never late. */
void board_idle(void);

/* Microseconds since board_init(); wraps after 2^32. Keeps counting while the core sleeps. */
uint32_t board_micros(void);

/* Core clock cycles; wraps after 2^32. Need not count while the core sleeps. */
uint32_t board_cycles(void);

/* Cycles from `start` (a value of board_cycles()) until now, right beyond 2^32 too: `start_micros` is
 * board_micros() at the same moment and tells how often the counter has wrapped. The core must not
 * have slept in between. */
uint64_t board_cycles_since(uint32_t start, uint32_t start_micros);

/* Drive the pin that an energy meter watches, where the board has one (window_pin in its description); else nothing. It is
 * low after board_init(). */
void board_pin(int high);

/* Bytes that the linker reserves for the stack, and the most that has ever been used of them. */
uint32_t board_stack_reserved(void);
uint32_t board_stack_used(void);

#endif
