/* NUCLEO-L4R5ZI and other boards with an STM32L4R5: clocks, counters, and runtime/board.h but for the console. */
#include "runtime/board.h"

#include "board/config.h"
#include "board/console.h"
#include "board/linker.h"
#include "board/registers.h"

#if EDGEQ_CLOCK_HZ % 2000000 != 0 || EDGEQ_CLOCK_HZ < 32000000 || EDGEQ_CLOCK_HZ > 120000000
#error "the PLL set up below makes even numbers of MHz from 32 to 120"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 2000000u) /* VCO = 4 MHz * N = twice the core clock; N may be 8 to 127 */

/* RM0432, "Number of wait states according to CPU clock (HCLK) frequency", range 1 boost mode: one per 20 MHz
 * begun. */
#define WAIT_STATES ((EDGEQ_CLOCK_HZ - 1u) / 20000000u)

static void wait_for(volatile uint32_t *address, uint32_t mask, uint32_t value) {
    while ((*address & mask) != value) {
    }
}

/* HSI16 through the PLL. The order is that of RM0432's "Dynamic voltage scaling management": boost mode and wait
 * states before the higher clock, and the AHB prescaler at 2 while switching above 80 MHz. */
static void set_up_clocks(void) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWREN;
    (void)RCC_APB1ENR1; /* the peripheral's clock needs two cycles after this (RM0432, chapter 6) */
    PWR_CR5 &= ~PWR_CR5_R1MODE;

    FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_LATENCY_MASK) | WAIT_STATES | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN |
                FLASH_ACR_DCEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, WAIT_STATES);

    RCC_CR |= RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLLCFGR = RCC_PLLCFGR_SRC_HSI16 | RCC_PLLCFGR_M(4u) | RCC_PLLCFGR_N(PLL_N) | RCC_PLLCFGR_R_DIV2 |
                  RCC_PLLCFGR_REN;
    RCC_CR |= RCC_CR_PLLON;
    wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);

    /* The prescaler first and by itself: a switch that is faster than the prescaler would be one to full speed. */
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_HPRE_MASK) | RCC_CFGR_HPRE_DIV2;
    wait_for(&RCC_CFGR, RCC_CFGR_HPRE_MASK, RCC_CFGR_HPRE_DIV2);
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | RCC_CFGR_SW_PLL;
    wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
    for (volatile unsigned i = 0; i < 40u; ++i) { /* at least 1 µs, at no more than 60 MHz here */
    }
    RCC_CFGR &= ~RCC_CFGR_HPRE_MASK;
}

/* TIM2 counts microseconds: unlike CYCCNT and the core's clock it doesn't stop in sleep, and unlike SysTick's
 * it needs no interrupt, which would be in the way of what is measured. */
static void set_up_counters(void) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_TIM2EN;
    (void)RCC_APB1ENR1;
    TIM2_PSC = EDGEQ_CLOCK_HZ / 1000000u - 1u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = TIM_EGR_UG; /* load the prescaler now */
    TIM2_CR1 = TIM_CR1_CEN;

    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

void board_init(void) {
    set_up_clocks();
    set_up_counters();
    console_init();
}

uint32_t board_micros(void) {
    return TIM2_CNT;
}

uint32_t board_cycles(void) {
    return DWT_CYCCNT;
}

uint64_t board_cycles_since(uint32_t start, uint32_t start_micros) {
    const uint32_t low = DWT_CYCCNT - start;
    const uint64_t about = (uint64_t)(TIM2_CNT - start_micros) * (EDGEQ_CLOCK_HZ / 1000000u);
    /* `about` is at most some µs off, so the wraps are what is left of it, rounded to whole ones. */
    return about < low ? low : low + ((about - low + UINT64_C(0x80000000)) & UINT64_C(0xFFFFFFFF00000000));
}

uint32_t board_stack_reserved(void) {
    return (uint32_t)(_stack_top - _stack_limit) * sizeof(uint32_t);
}

uint32_t board_stack_used(void) {
    const volatile uint32_t *word = _stack_limit;
    while (word < _stack_top && *word == STACK_PAINT) {
        ++word;
    }
    return (uint32_t)(_stack_top - word) * sizeof(uint32_t);
}
