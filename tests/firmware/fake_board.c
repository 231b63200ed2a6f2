/* A board made of standard input and output; input's end ends it. Its counters count how often they are asked,
 * so that what the runtime says of them can be foretold. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/board.h"

static uint32_t cycles;
static uint32_t micros;

void board_init(void) {
}

void board_put(uint8_t byte) {
    putchar(byte);
}

int board_get(void) {
    const int byte = getchar();
    return byte == EOF ? -1 : byte;
}

void board_idle(void) {
    exit(0);
}

uint32_t board_micros(void) {
    return micros++;
}

uint32_t board_cycles(void) {
    return cycles += 100;
}

uint64_t board_cycles_since(uint32_t start, uint32_t start_micros) {
    (void)start_micros;
    return board_cycles() - start;
}

/* On standard error, where tests look for it. */
void board_pin(int high) {
    fprintf(stderr, "pin %d\n", high != 0);
}

uint32_t board_stack_reserved(void) {
    return 2048;
}

uint32_t board_stack_used(void) {
    return 321;
}

uint32_t board_max_baud(void) {
    return 1000000;
}

void board_set_baud(uint32_t baud) {
    fprintf(stderr, "baud %u\n", (unsigned)baud);
}
