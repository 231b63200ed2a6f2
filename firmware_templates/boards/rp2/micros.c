/* The chip's microsecond timer: 64 bits, of which the lower word is read without latching. */
#include "board/rp2.h"
#include "runtime/board.h"

#define TIMERAWL REGISTER(TIMER_BASE + 0x28u)

uint32_t board_micros(void) {
    return TIMERAWL;
}
