/* runtime/board.h, but for the console's output, the microseconds and the pin, which each family has. */
#include "runtime/board.h"

#include "board/config.h"
#include "board/core.h"
#include "board/family.h"
#include "board/linker.h"
#include "board/parts.h"

#ifndef AFTER_SLEEP
#define AFTER_SLEEP
#endif

#define RING_BYTES 512u /* a power of two, of more than a full command */

/* Written by the interrupt at `ring_in`, read at `ring_out`; both count on and are reduced when used. */
static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t ring_in;
static volatile uint32_t ring_out;

void board_init(void) {
    clocks_init();
    micros_init();
    cycles_init();
    console_init();
    pin_init();
    NVIC_ISER(EDGEQ_CONSOLE_IRQ / 32u) = BIT(EDGEQ_CONSOLE_IRQ % 32u);
}

void received(uint8_t byte) {
    const uint32_t at = ring_in;
    if (at - ring_out < RING_BYTES) {
        ring[at % RING_BYTES] = byte;
        ring_in = at + 1u;
    }
}

int board_get(void) {
    const uint32_t at = ring_out;
    if (at == ring_in) {
        return -1;
    }
    const uint8_t byte = ring[at % RING_BYTES];
    ring_out = at + 1u;
    return byte;
}

void board_idle(void) {
    /* With interrupts held back, a byte that comes between the test and WFI still ends WFI. */
    __asm volatile("cpsid i" ::: "memory");
    if (ring_out == ring_in) {
        __asm volatile("dsb\n wfi\n" AFTER_SLEEP ::: "memory");
        cycles_resume();
    }
    __asm volatile("cpsie i" ::: "memory");
}

uint32_t board_stack_reserved(void) {
    return (uint32_t)(_stack_top - _stack_limit) * sizeof(uint32_t);
}

uint32_t board_stack_used(void) {
    const volatile uint32_t *word = _stack_limit;
    while (word < _stack_top && *word == STACK_PAINT) {
        ++word;
    }
    return (uint32_t)(_stack_top - word) * sizeof(uint32_t);
}
