/* Clock cycles: from the DWT's counter, or from SysTick where a core (Cortex-M0+) or an emulator has no DWT. */
#include <stdint.h>

#include "board/config.h"
#include "board/core.h"
#include "board/family.h"
#include "board/parts.h"
#include "runtime/board.h"

#define CYCLES_PER_MICROSECOND (EDGEQ_CLOCK_HZ / 1000000u)
#if EDGEQ_CLOCK_HZ % 1000000 != 0
#error "the clock must be a whole number of MHz: cycles and microseconds are compared"
#endif

#if __ARM_ARCH == 6 || defined(CYCLES_FROM_SYSTICK)

#define SYSTICK_SPAN 0x1000000u /* it has 24 bits */

static uint32_t epoch_micros;
static uint32_t epoch_count; /* of the timer, which counts down */

void cycles_init(void) {
    SYST_RVR = SYSTICK_SPAN - 1u;
    SYST_CVR = 0; /* any write clears it */
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_CORE_CLOCK; /* without its interrupt, which would be in the way */
    cycles_resume();
}

void cycles_resume(void) {
    epoch_count = SYST_CVR;
    epoch_micros = board_micros();
}

/* The microseconds tell how often the 24 bits have wrapped. All of it is modulo 2^32, and so is the product: the
 * microseconds themselves wrap at 2^32. */
uint32_t board_cycles(void) {
    const uint32_t low = (epoch_count - SYST_CVR) % SYSTICK_SPAN;
    const uint32_t about = (board_micros() - epoch_micros) * CYCLES_PER_MICROSECOND;
    return low + ((about - low + SYSTICK_SPAN / 2u) & ~(SYSTICK_SPAN - 1u));
}

#else

void cycles_init(void) {
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = DWT_LAR_KEY; /* Cortex-M7: locked after reset; elsewhere nothing is there to be written */
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

void cycles_resume(void) {
}

uint32_t board_cycles(void) {
    return DWT_CYCCNT;
}

#endif

uint64_t board_cycles_since(uint32_t start, uint32_t start_micros) {
    const uint32_t low = board_cycles() - start;
    const uint64_t about = (uint64_t)(board_micros() - start_micros) * CYCLES_PER_MICROSECOND;
    /* `about` is at most some µs off, so the wraps are what is left of it, rounded to whole ones. */
    return about < low ? low : low + ((about - low + UINT64_C(0x80000000)) & UINT64_C(0xFFFFFFFF00000000));
}
