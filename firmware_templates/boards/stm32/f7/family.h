/* STM32F7: where things are in the STM32F74x and F75x (RM0385). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define GPIO_BASE    0x40020000u
#define TIM2_BASE    0x40000000u
#define TIM2_HZ      (EDGEQ_CLOCK_HZ / 2u) /* APB1 at a quarter of the core's clock, its timers at twice that */
#define CONSOLE_HZ   16000000u             /* HSI */

/* RCC: RM0385 chapter 5 */
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
#define RCC_PLLCFGR_RESERVED  BIT(29) /* to be kept at its reset value */
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
#define RCC_DCKCFGR2 REGISTER(RCC_BASE + 0x90u)

/* PWR: RM0385 chapter 4. The voltage scale is the highest after reset. */
#define PWR_CR1      REGISTER(0x40007000u)
#define PWR_CR1_ODEN      BIT(16)
#define PWR_CR1_ODSWEN    BIT(17)
#define PWR_CSR1     REGISTER(0x40007004u)
#define PWR_CSR1_ODRDY    BIT(16)
#define PWR_CSR1_ODSWRDY  BIT(17)

/* FLASH: RM0385 chapter 3. Its ART accelerator serves the ITCM interface only; images lie on the AXI interface, behind
 * the core's caches. */
#define FLASH_ACR    REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY_MASK 15u
#define FLASH_ACR_PRFTEN  BIT(8)

void console_clock(void);

#endif
