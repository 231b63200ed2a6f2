#include "board/nordic.h"
#include "board/parts.h"
#include "runtime/board.h"

#ifdef EDGEQ_WINDOW_PIN

void pin_init(void) {
    board_pin(0);
    GPIO(EDGEQ_WINDOW_PORT, GPIO_DIRSET) = BIT(EDGEQ_WINDOW_PIN);
}

void board_pin(int high) {
    GPIO(EDGEQ_WINDOW_PORT, high ? GPIO_OUTSET : GPIO_OUTCLR) = BIT(EDGEQ_WINDOW_PIN);
}

#else

void pin_init(void) {
}

void board_pin(int high) {
    (void)high;
}

#endif
