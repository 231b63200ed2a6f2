/* TIMER0 counts microseconds, in sleep too: 16 MHz from the crystal, divided by 2^4. */
#include "board/nordic.h"
#include "board/parts.h"
#include "runtime/board.h"

#define TIMER0(offset) REGISTER(TIMER0_BASE + (offset))
#define TIMER_TASKS_START   0x000u
#define TIMER_TASKS_CLEAR   0x00Cu
#define TIMER_TASKS_CAPTURE 0x040u /* into CC[0] */
#define TIMER_MODE          0x504u /* 0: timer */
#define TIMER_BITMODE       0x508u
#define TIMER_BITMODE_32          3u
#define TIMER_PRESCALER     0x510u
#define TIMER_CC            0x540u

void micros_init(void) {
    TIMER0(TIMER_MODE) = 0;
    TIMER0(TIMER_BITMODE) = TIMER_BITMODE_32;
    TIMER0(TIMER_PRESCALER) = 4;
    TIMER0(TIMER_TASKS_CLEAR) = 1;
    TIMER0(TIMER_TASKS_START) = 1;
}

/* Never called by an interrupt: the two accesses need no guard. */
uint32_t board_micros(void) {
    TIMER0(TIMER_TASKS_CAPTURE) = 1;
    return TIMER0(TIMER_CC);
}
