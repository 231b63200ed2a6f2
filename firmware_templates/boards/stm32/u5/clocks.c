/* STM32U5: supply, voltage, the core's clock, the flash and its cache, and what the console's USART runs from. */
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 2000000 != 0 || EDGEQ_CLOCK_HZ < 64000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes even numbers of MHz from 64 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 2000000u) /* VCO = 4 MHz * N = twice the core clock, 128 to 544 MHz */

/* HSI16 through PLL1: 16 MHz / 4 * N / 2. Above 55 MHz the core's voltage is boosted by a converter that has its clock
 * from the PLL's source, so that is chosen first (RM0456, "Dynamic voltage scaling"). */
void clocks_init(void) {
    clock_on(&RCC_AHB3ENR, RCC_AHB3ENR_PWREN);
    PWR_CR3 |= PWR_CR3_REGSEL; /* the SMPS in place of the LDO: half the power, on boards that have its coil */
    wait_for(&PWR_SVMSR, PWR_SVMSR_REGS, PWR_SVMSR_REGS);
    PWR_VOSR = PWR_VOSR_VOS_RANGE1;
    wait_for(&PWR_VOSR, PWR_VOSR_VOSRDY, PWR_VOSR_VOSRDY);

    RCC_CR |= RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLL1CFGR = RCC_PLL1CFGR_SRC_HSI16 | RCC_PLL1CFGR_RGE_4_TO_8 | RCC_PLL1CFGR_M(4u) | RCC_PLL1CFGR_MBOOST_DIV1;
    RCC_PLL1DIVR = RCC_PLL1DIVR_N(PLL_N) | RCC_PLL1DIVR_PQ_DIV2 | RCC_PLL1DIVR_R(2u);
    PWR_VOSR |= PWR_VOSR_BOOSTEN;
    wait_for(&PWR_VOSR, PWR_VOSR_BOOSTRDY, PWR_VOSR_BOOSTRDY);
    RCC_CR |= RCC_CR_PLL1ON;
    wait_for(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
    RCC_PLL1CFGR |= RCC_PLL1CFGR_REN;

    FLASH_ACR = EDGEQ_FLASH_WAIT_STATES | FLASH_ACR_PRFTEN;
    wait_for(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, EDGEQ_FLASH_WAIT_STATES);
    ICACHE_CR |= ICACHE_CR_EN; /* its invalidation after reset holds back accesses, not this */
    RCC_CFGR1 = (RCC_CFGR1 & ~RCC_CFGR1_SW_MASK) | RCC_CFGR1_SW_PLL1;
    wait_for(&RCC_CFGR1, RCC_CFGR1_SWS_MASK, RCC_CFGR1_SWS_PLL1);
}

/* Two bits a USART in CCIPR1; 2 is HSI16, which no setting of the core's clock changes. */
#define CLOCK_SELECT_USART1 0
#define CLOCK_SELECT_USART2 2
#define CLOCK_SELECT_USART3 4
#define CLOCK_SELECT_UART4  6
#define CLOCK_SELECT_UART5  8
#define CLOCK_SELECT JOINED(CLOCK_SELECT_, EDGEQ_CONSOLE)

void console_clock(void) {
    RCC_CCIPR1 = (RCC_CCIPR1 & ~(3u << CLOCK_SELECT)) | 2u << CLOCK_SELECT;
}
