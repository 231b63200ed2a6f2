/* The level-one caches of Cortex-M7, M55 and M85: off and with arbitrary contents after reset. */
#include "board/caches.h"

#include <stdint.h>

#include "board/core.h"

#define BARRIER() __asm volatile("dsb\n isb" ::: "memory")

/* DDI 0403E, B2.2.7: CCSIDR has the number of sets and ways less one, and the line's log2 of words less two. */
static void invalidate_data_cache(void) {
    SCB_CSSELR = 0; /* level 1, data */
    BARRIER();
    const uint32_t size = SCB_CCSIDR;
    const uint32_t sets = size >> 13 & 0x7FFFu;
    const uint32_t ways = size >> 3 & 0x3FFu;
    const uint32_t set_shift = (size & 7u) + 4u;
    uint32_t way_shift = 32;
    for (uint32_t left = ways; left != 0; left >>= 1) {
        --way_shift;
    }
    for (uint32_t set = 0; set <= sets; ++set) {
        for (uint32_t way = 0; way <= ways; ++way) {
            SCB_DCISW = (ways == 0 ? 0 : way << way_shift) | set << set_shift;
        }
    }
    BARRIER();
}

void caches_enable(void) {
    BARRIER();
    SCB_ICIALLU = 0;
    BARRIER();
    SCB_CCR |= SCB_CCR_IC;
    BARRIER();
    invalidate_data_cache();
    SCB_CCR |= SCB_CCR_DC;
    BARRIER();
}
