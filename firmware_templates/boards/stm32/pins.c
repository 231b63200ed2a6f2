#include "board/pins.h"

#include "board/parts.h"
#include "runtime/board.h"

static void set_field(volatile uint32_t *address, uint32_t bits, uint32_t at, uint32_t value) {
    *address = (*address & ~(((1u << bits) - 1u) << (bits * at))) | value << (bits * at);
}

void pin_alternate(uint32_t port, uint32_t pin, uint32_t function, uint32_t pull) {
    clock_on(&RCC_GPIO_ENABLE, BIT(port));
    set_field(&GPIO(port, GPIO_AFR(pin)), 4, pin % 8u, function);
    set_field(&GPIO(port, GPIO_PUPDR), 2, pin, pull);
    set_field(&GPIO(port, GPIO_MODER), 2, pin, GPIO_MODE_ALTERNATE);
}

#ifdef EDGEQ_WINDOW_PIN

void pin_init(void) {
    clock_on(&RCC_GPIO_ENABLE, BIT(EDGEQ_WINDOW_PORT));
    board_pin(0);
    set_field(&GPIO(EDGEQ_WINDOW_PORT, GPIO_MODER), 2, EDGEQ_WINDOW_PIN, GPIO_MODE_OUTPUT);
}

void board_pin(int high) {
    GPIO(EDGEQ_WINDOW_PORT, GPIO_BSRR) = BIT(EDGEQ_WINDOW_PIN) << (high ? 0 : 16);
}

#else

void pin_init(void) {
}

void board_pin(int high) {
    (void)high;
}

#endif
