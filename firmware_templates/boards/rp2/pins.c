#include "board/parts.h"
#include "board/rp2.h"
#include "runtime/board.h"

#ifdef EDGEQ_WINDOW_PIN

void pin_init(void) {
    board_pin(0);
    SIO_GPIO_OE_SET = BIT(EDGEQ_WINDOW_PIN);
    pin_function(EDGEQ_WINDOW_PIN, IO_FUNCTION_SIO, 0);
}

void board_pin(int high) {
    if (high) {
        SIO_GPIO_OUT_SET = BIT(EDGEQ_WINDOW_PIN);
    } else {
        SIO_GPIO_OUT_CLR = BIT(EDGEQ_WINDOW_PIN);
    }
}

#else

void pin_init(void) {
}

void board_pin(int high) {
    (void)high;
}

#endif
