/* STM32F4: the core's clock and the flash. */
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 4000000 != 0 || EDGEQ_CLOCK_HZ < 52000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes multiples of 4 MHz from 52 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 1000000u) /* VCO = 2 MHz * N = twice the core clock; N may be 50 to 432 */

/* HSI through the PLL: 16 MHz / 8 * N / 2. Above 168 MHz the regulator has to be in over-drive, which is switched on
 * while the PLL runs and the core doesn't use it yet (RM0090, "Entering Over-drive mode"). */
void clocks_init(void) {
    clock_on(&RCC_APB1ENR, RCC_APB1ENR_PWREN);
    RCC_CR |= RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLLCFGR = RCC_PLLCFGR_SRC_HSI | RCC_PLLCFGR_M(8u) | RCC_PLLCFGR_N(PLL_N) | RCC_PLLCFGR_P_DIV2 |
                  RCC_PLLCFGR_Q(8u);
    RCC_CR |= RCC_CR_PLLON;
#if EDGEQ_CLOCK_HZ > 168000000
    PWR_CR |= PWR_CR_ODEN;
    wait_for(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY);
    PWR_CR |= PWR_CR_ODSWEN;
    wait_for(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
#endif
    wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);

    FLASH_ACR = EDGEQ_FLASH_WAIT_STATES | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, EDGEQ_FLASH_WAIT_STATES);

    RCC_CFGR = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2; /* the buses first: they would be too fast after the switch */
    RCC_CFGR |= RCC_CFGR_SW_PLL;
    wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL);
}
