#include "runtime/speed.h"

#include "board/config.h"
#include "runtime/board.h"

#define LOWEST_BAUD 9600u
#define MAX_NOISE 2u

static uint32_t requested; /* 0: no change is due */
static uint32_t present = EDGEQ_CONSOLE_BAUD;
static uint32_t noise;

/* Boards whose console can change its speed have functions of these names. */
__attribute__((weak)) uint32_t board_max_baud(void) {
    return 0;
}

__attribute__((weak)) void board_set_baud(uint32_t baud) {
    (void)baud;
}

uint32_t speed_max(void) {
    return board_max_baud();
}

int speed_request(uint32_t baud) {
    if (baud < LOWEST_BAUD || baud > board_max_baud()) {
        return 0;
    }
    requested = baud;
    return 1;
}

void speed_apply(void) {
    if (requested != 0 && requested != present) {
        board_set_baud(requested);
        present = requested;
        noise = 0;
    }
    requested = 0;
}

void speed_noise(void) {
    if (present != EDGEQ_CONSOLE_BAUD && ++noise >= MAX_NOISE) {
        requested = EDGEQ_CONSOLE_BAUD;
        speed_apply();
    }
}

void speed_good(void) {
    noise = 0;
}
