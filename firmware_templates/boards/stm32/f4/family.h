/* STM32F4: where things are in the STM32F405/407/427/429 (RM0090). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define USART_FIRST_GENERATION 1
#define GPIO_BASE    0x40020000u
#define TIM2_BASE    0x40000000u
/* APB1 at a quarter of the core's clock, APB2 at half; a timer on a divided bus runs at twice its clock (RM0090,
 * chapter "Reset and clock control", clock tree). */
#define TIM2_HZ      (EDGEQ_CLOCK_HZ / 2u)
#define APB2_BASE    0x40010000u
#define CONSOLE_HZ   (EDGEQ_CONSOLE_BASE >= APB2_BASE ? EDGEQ_CLOCK_HZ / 2u : EDGEQ_CLOCK_HZ / 4u)

/* RCC: RM0090 chapter 6 */
#define RCC_BASE     0x40023800u
#define RCC_CR       REGISTER(RCC_BASE + 0x00u)
#define RCC_CR_HSION    BIT(0)
#define RCC_CR_HSIRDY   BIT(1)
#define RCC_CR_PLLON    BIT(24)
#define RCC_CR_PLLRDY   BIT(25)
#define RCC_PLLCFGR  REGISTER(RCC_BASE + 0x04u)
#define RCC_PLLCFGR_M(m)      (m)
#define RCC_PLLCFGR_N(n)      ((n) << 6)
#define RCC_PLLCFGR_P_DIV2    (0u << 16)
#define RCC_PLLCFGR_SRC_HSI   (0u << 22)
#define RCC_PLLCFGR_Q(q)      ((q) << 24)
#define RCC_CFGR     REGISTER(RCC_BASE + 0x08u)
#define RCC_CFGR_SW_PLL       (2u << 0)
#define RCC_CFGR_SWS_MASK     (3u << 2)
#define RCC_CFGR_SWS_PLL      (2u << 2)
#define RCC_CFGR_PPRE1_DIV4   (5u << 10)
#define RCC_CFGR_PPRE2_DIV2   (4u << 13)
#define RCC_GPIO_ENABLE REGISTER(RCC_BASE + 0x30u) /* AHB1ENR */
#define RCC_APB1ENR  REGISTER(RCC_BASE + 0x40u)
#define RCC_APB1ENR_PWREN     BIT(28)
#define RCC_TIM2_ENABLE RCC_APB1ENR

/* PWR: RM0090 chapter 5. The voltage scale is the highest after reset. */
#define PWR_CR       REGISTER(0x40007000u)
#define PWR_CR_ODEN       BIT(16) /* over-drive, STM32F42x and F43x */
#define PWR_CR_ODSWEN     BIT(17)
#define PWR_CSR      REGISTER(0x40007004u)
#define PWR_CSR_ODRDY     BIT(16)
#define PWR_CSR_ODSWRDY   BIT(17)

/* FLASH: RM0090 chapter 3 */
#define FLASH_ACR    REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY_MASK 15u
#define FLASH_ACR_PRFTEN  BIT(8)
#define FLASH_ACR_ICEN    BIT(9)
#define FLASH_ACR_DCEN    BIT(10)

/* A USART runs from its bus: there is nothing to choose. */
static inline void console_clock(void) {
}

#endif
