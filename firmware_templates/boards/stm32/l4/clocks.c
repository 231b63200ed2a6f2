/* STM32L4 and L4+: the core's clock, the flash, and what the console's USART runs from. */
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 2000000 != 0 || EDGEQ_CLOCK_HZ < 32000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes even numbers of MHz from 32 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 2000000u) /* VCO = 4 MHz * N = twice the core clock; N may be 8 to 127 */

/* HSI16 through the PLL. The order is that of RM0432's "Dynamic voltage scaling management": boost mode and wait
 * states before the higher clock, and the AHB prescaler at 2 while switching above 80 MHz. */
void clocks_init(void) {
    clock_on(&RCC_APB1ENR1, RCC_APB1ENR1_PWREN);
#ifdef STM32L4_PLUS
    PWR_CR5 &= ~PWR_CR5_R1MODE;
#endif

    FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_LATENCY_MASK) | EDGEQ_FLASH_WAIT_STATES | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN |
                FLASH_ACR_DCEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, EDGEQ_FLASH_WAIT_STATES);

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

/* Two bits a USART in CCIPR; 2 is HSI16, which no setting of the core's clock changes. */
#define CLOCK_SELECT_USART1  0
#define CLOCK_SELECT_USART2  2
#define CLOCK_SELECT_USART3  4
#define CLOCK_SELECT_UART4   6
#define CLOCK_SELECT_UART5   8
#define CLOCK_SELECT_LPUART1 10
#define CLOCK_SELECT JOINED(CLOCK_SELECT_, EDGEQ_CONSOLE)

void console_clock(void) {
#if EDGEQ_CONSOLE_TX_PORT == 6
    PWR_CR2 |= PWR_CR2_IOSV; /* PG2 to PG15 are supplied by VDDIO2, isolated until this (RM0432, chapter 5) */
#endif
    RCC_CCIPR = (RCC_CCIPR & ~(3u << CLOCK_SELECT)) | 2u << CLOCK_SELECT;
}
