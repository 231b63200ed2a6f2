/* STM32H7: supply, voltage, the core's clock, the flash, the caches, and what the console's USART runs from. */
#include "board/caches.h"
#include "board/parts.h"
#include "board/stm32.h"

#if EDGEQ_CLOCK_HZ % 4000000 != 0 || EDGEQ_CLOCK_HZ < 96000000 || EDGEQ_CLOCK_HZ > EDGEQ_MAX_CLOCK_HZ
#error "the PLL set up below makes multiples of 4 MHz from 96 on"
#endif

#define PLL_N (EDGEQ_CLOCK_HZ / 2000000u) /* VCO = 4 MHz * N = twice the core clock; wide range: up to 960 MHz */

/* Which regulator supplies the core is written once after power-on, and the voltage stays low until then (RM0433, "System
 * supply startup"). The NUCLEO-H743ZI2 is wired for the LDO, the NUCLEO-H7A3ZI-Q for its SMPS. */
static void set_up_supply(void) {
#ifdef STM32H743
    PWR_CR3 = (PWR_CR3 & ~(PWR_CR3_BYPASS | PWR_CR3_LDOEN | PWR_CR3_SCUEN)) | PWR_CR3_LDOEN;
#else
    PWR_CR3 = (PWR_CR3 & ~(PWR_CR3_BYPASS | PWR_CR3_LDOEN | PWR_CR3_SCUEN)) | PWR_CR3_SCUEN;
#endif
    wait_for(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY);
    PWR_D3CR = (PWR_D3CR & ~PWR_D3CR_VOS_MASK) | PWR_D3CR_VOS_HIGHEST;
    wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
#if defined(STM32H743) && EDGEQ_CLOCK_HZ > 400000000
    /* Scale 0 is scale 1 with the overdrive (RM0433, "VOS0 activation/deactivation sequence"). */
    clock_on(&RCC_APB4ENR, RCC_APB4ENR_SYSCFGEN);
    SYSCFG_PWRCR |= SYSCFG_PWRCR_ODEN;
    wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
#endif
}

/* HSI through PLL1: 64 MHz / 16 * N / 2. */
void clocks_init(void) {
    set_up_supply();
    RCC_CR = (RCC_CR & ~RCC_CR_HSIDIV_MASK) | RCC_CR_HSION;
    wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    RCC_PLLCKSELR = RCC_PLLCKSELR_SRC_HSI | RCC_PLLCKSELR_DIVM1(16u);
    RCC_PLLCFGR = (RCC_PLLCFGR & ~RCC_PLLCFGR_PLL1_FIELDS) | RCC_PLLCFGR_PLL1RGE_4_TO_8 | RCC_PLLCFGR_DIVP1EN;
    RCC_PLL1DIVR = RCC_PLL1DIVR_N(PLL_N) | RCC_PLL1DIVR_P(2u) | RCC_PLL1DIVR_QR_DIV2;
    RCC_CR |= RCC_CR_PLL1ON;
    wait_for(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);

    FLASH_ACR = EDGEQ_FLASH_WAIT_STATES | WRITE_DELAY << 4;
    wait_for(&FLASH_ACR, 15u, EDGEQ_FLASH_WAIT_STATES);

    /* The buses first: they would be too fast after the switch. */
    RCC_D2CFGR = RCC_D2CFGR_D2PPRE1_DIV2 | RCC_D2CFGR_D2PPRE2_DIV2;
    RCC_D3CFGR = RCC_D3CFGR_D3PPRE_DIV2;
#ifdef STM32H743
    RCC_D1CFGR = RCC_D1CFGR_D1PPRE_DIV2 | RCC_D1CFGR_HPRE_DIV2;
#else
    RCC_D1CFGR = RCC_D1CFGR_D1PPRE_DIV2;
#endif
    RCC_CFGR = RCC_CFGR_SW_PLL1;
    wait_for(&RCC_CFGR, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL1);
    caches_enable();
}

/* USART2 to 5, 7 and 8 share one choice; HSI is what no setting of the core's clock changes. */
void console_clock(void) {
    RCC_D2CCIP2R = (RCC_D2CCIP2R & ~RCC_D2CCIP2R_USART234578_MASK) | RCC_D2CCIP2R_USART234578_HSI;
}
#define SHARED_USART2 1
#define SHARED_USART3 1
#define SHARED_UART4  1
#define SHARED_UART5  1
#define SHARED_UART7  1
#define SHARED_UART8  1
#if !JOINED(SHARED_, EDGEQ_CONSOLE)
#error "the console has to be one of USART2, USART3, UART4, UART5, UART7, UART8"
#endif
