/* STM32G0: the core's clock, the flash, and what the console's USART runs from. The voltage is range 1 after reset. */
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 2000000 != 0 || EDGEQ_CLOCK_HZ < 32000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes even numbers of MHz from 32 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 2000000u) /* VCO = 4 MHz * N = twice the core clock, 64 to 344 MHz */

/* HSI16 through the PLL: 16 MHz / 4 * N / 2. */
void clocks_init(void) {
    FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_LATENCY_MASK) | EDGEQ_FLASH_WAIT_STATES | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, EDGEQ_FLASH_WAIT_STATES);
    RCC_CR = (RCC_CR & ~RCC_CR_HSIDIV_MASK) | RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLLCFGR = RCC_PLLCFGR_SRC_HSI16 | RCC_PLLCFGR_M(4u) | RCC_PLLCFGR_N(PLL_N) | RCC_PLLCFGR_R(2u) |
                  RCC_PLLCFGR_REN;
    RCC_CR |= RCC_CR_PLLON;
    wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | RCC_CFGR_SW_PLLR;
    wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLLR);
}

/* Two bits a USART in CCIPR; 2 is HSI16, which no setting of the core's clock changes. */
#define CLOCK_SELECT_USART1  0
#define CLOCK_SELECT_USART2  2
#define CLOCK_SELECT_USART3  4
#define CLOCK_SELECT_LPUART1 10
#define CLOCK_SELECT JOINED(CLOCK_SELECT_, EDGEQ_CONSOLE)

void console_clock(void) {
    RCC_CCIPR = (RCC_CCIPR & ~(3u << CLOCK_SELECT)) | 2u << CLOCK_SELECT;
}
