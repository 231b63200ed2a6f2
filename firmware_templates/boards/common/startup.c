/* From reset to main(). */
#include <stdint.h>

#include "board/core.h"
#include "board/linker.h"

int main(void);
extern const uint32_t vectors[];

/* Volatile, so that no compiler makes these loops a call of memset() or memcpy(): nothing is set up yet. */
static void fill(uint32_t *word, const uint32_t *end, uint32_t value) {
    for (; word < end; ++word) {
        *(volatile uint32_t *)word = value;
    }
}

__attribute__((noreturn)) void Reset_Handler(void);
void Reset_Handler(void) {
#ifdef __ARM_FP
    SCB_CPACR |= SCB_CPACR_FPU_FULL; /* before any code that a compiler may have given FPU instructions */
#endif
    __asm volatile("dsb\n isb" ::: "memory");
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    fill(_stack_limit, here, STACK_PAINT); /* what is still painted later was never used */
#if __ARM_ARCH >= 8
    __asm volatile("msr msplim, %0" ::"r"(_stack_limit)); /* whatever lies below it: going there faults */
#endif
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; to < _data_end; ++to, ++from) {
        *(volatile uint32_t *)to = *from;
    }
    fill(_bss_start, _bss_end, 0);
    fill(_arena_start, _arena_end, 0);
    SCB_VTOR = (uint32_t)(uintptr_t)vectors; /* a bootloader may have left another's */
#if __ARM_ARCH >= 7
    SCB_SHCSR |= SCB_SHCSR_FAULTS_ENABLED; /* Armv6-M has the one fault, which is always enabled */
#endif
    main();
    for (;;) {
    }
}
