/* A board made of two pipes and this computer's clock: what tests of the line put between a host and the runtime.
 * Its cycles count how often they are asked, as fake_board.c's do. A change of speed is told on standard error. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime/board.h"

static uint8_t sent[256];
static size_t unsent;
static uint32_t cycles;

static void flush(void) {
    size_t done = 0;
    while (done < unsent) {
        const ssize_t count = write(1, sent + done, unsent - done);
        if (count <= 0) {
            exit(0);
        }
        done += (size_t)count;
    }
    unsent = 0;
}

void board_init(void) {
}

void board_put(uint8_t byte) {
    sent[unsent++] = byte;
    if (unsent == sizeof sent) {
        flush();
    }
}

int board_get(void) {
    uint8_t byte;
    flush();
    if (read(0, &byte, 1) != 1) {
        exit(0);
    }
    return byte;
}

void board_idle(void) {
}

uint32_t board_micros(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}

uint32_t board_cycles(void) {
    return cycles += 100;
}

uint64_t board_cycles_since(uint32_t start, uint32_t start_micros) {
    (void)start_micros;
    return board_cycles() - start;
}

uint32_t board_stack_reserved(void) {
    return 2048;
}

uint32_t board_stack_used(void) {
    return 321;
}

uint32_t board_max_baud(void) {
    return 921600;
}

void board_set_baud(uint32_t baud) {
    flush();
    fprintf(stderr, "%u\n", (unsigned)baud);
    fflush(stderr);
}

void board_pin(int high) {
    (void)high;
}
