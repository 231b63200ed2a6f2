/* STM32F7: the core's clock, the flash, the caches, and what the console's USART runs from. */
#include "board/caches.h"
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 4000000 != 0 || EDGEQ_CLOCK_HZ < 52000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes multiples of 4 MHz from 52 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 1000000u) /* VCO = 2 MHz * N = twice the core clock; N may be 50 to 432 */

/* HSI through the PLL: 16 MHz / 8 * N / 2. Above 180 MHz the regulator has to be in over-drive, which is switched on
 * while the PLL runs and the core doesn't use it yet (RM0385, "Entering Over-drive mode"). */
void clocks_init(void) {
    clock_on(&RCC_APB1ENR, RCC_APB1ENR_PWREN);
    RCC_CR |= RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLLCFGR = RCC_PLLCFGR_RESERVED | RCC_PLLCFGR_SRC_HSI | RCC_PLLCFGR_M(8u) | RCC_PLLCFGR_N(PLL_N) |
                  RCC_PLLCFGR_P_DIV2 | RCC_PLLCFGR_Q(9u);
    RCC_CR |= RCC_CR_PLLON;
#if EDGEQ_CLOCK_HZ > 180000000
    PWR_CR1 |= PWR_CR1_ODEN;
    wait_for(&PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY);
    PWR_CR1 |= PWR_CR1_ODSWEN;
    wait_for(&PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY);
#endif
    wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);

    FLASH_ACR = EDGEQ_FLASH_WAIT_STATES | FLASH_ACR_PRFTEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, EDGEQ_FLASH_WAIT_STATES);

    RCC_CFGR = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2; /* the buses first: they would be too fast after the switch */
    RCC_CFGR |= RCC_CFGR_SW_PLL;
    wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
    caches_enable();
}

/* Two bits a USART in DCKCFGR2; 2 is HSI, which no setting of the core's clock changes. */
#define CLOCK_SELECT_USART1 0
#define CLOCK_SELECT_USART2 2
#define CLOCK_SELECT_USART3 4
#define CLOCK_SELECT_UART4  6
#define CLOCK_SELECT_UART5  8
#define CLOCK_SELECT_USART6 10
#define CLOCK_SELECT_UART7  12
#define CLOCK_SELECT_UART8  14
#define CLOCK_SELECT JOINED(CLOCK_SELECT_, EDGEQ_CONSOLE)

void console_clock(void) {
    RCC_DCKCFGR2 = (RCC_DCKCFGR2 & ~(3u << CLOCK_SELECT)) | 2u << CLOCK_SELECT;
}
