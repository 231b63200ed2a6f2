/* STM32L4 (RM0351) and STM32L4+ (RM0432): where things are. */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define GPIO_BASE    0x48000000u
#define TIM2_BASE    0x40000000u
#define TIM2_HZ      EDGEQ_CLOCK_HZ /* neither the AHB nor the APB is divided */
#define CONSOLE_HZ   16000000u      /* HSI16 */
#if EDGEQ_MAX_CLOCK_HZ > 80000000
#define STM32L4_PLUS 1
#define USART_HAS_FIFO 1
#endif

/* RCC: RM0432 chapter 6, RM0351 chapter 6 */
#define RCC_BASE     0x40021000u
#define RCC_CR       REGISTER(RCC_BASE + 0x00u)
#define RCC_CR_HSION    BIT(8)
#define RCC_CR_HSIRDY   BIT(10)
#define RCC_CR_PLLON    BIT(24)
#define RCC_CR_PLLRDY   BIT(25)
#define RCC_CFGR     REGISTER(RCC_BASE + 0x08u)
#define RCC_CFGR_SW_MASK    (3u << 0)
#define RCC_CFGR_SW_PLL     (3u << 0)
#define RCC_CFGR_SWS_MASK   (3u << 2)
#define RCC_CFGR_SWS_PLL    (3u << 2)
#define RCC_CFGR_HPRE_MASK  (15u << 4)
#define RCC_CFGR_HPRE_DIV2  (8u << 4)
#define RCC_PLLCFGR  REGISTER(RCC_BASE + 0x0Cu)
#define RCC_PLLCFGR_SRC_HSI16 (2u << 0)
#define RCC_PLLCFGR_M(m)      (((m) - 1u) << 4)
#define RCC_PLLCFGR_N(n)      ((n) << 8)
#define RCC_PLLCFGR_REN       BIT(24)
#define RCC_PLLCFGR_R_DIV2    (0u << 25)
#define RCC_GPIO_ENABLE REGISTER(RCC_BASE + 0x4Cu) /* AHB2ENR */
#define RCC_APB1ENR1 REGISTER(RCC_BASE + 0x58u)
#define RCC_APB1ENR1_PWREN    BIT(28)
#define RCC_TIM2_ENABLE RCC_APB1ENR1
#define RCC_CCIPR    REGISTER(RCC_BASE + 0x88u)

/* PWR: RM0432 chapter 5 */
#define PWR_CR2      REGISTER(0x40007004u)
#define PWR_CR2_IOSV      BIT(9)
#define PWR_CR5      REGISTER(0x40007080u) /* L4+ only */
#define PWR_CR5_R1MODE    BIT(8)

/* FLASH: RM0432 chapter 3, RM0351 chapter 3 */
#define FLASH_ACR    REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY_MASK 15u /* the L4's has three bits, and the fourth is 0 */
#define FLASH_ACR_PRFTEN  BIT(8)
#define FLASH_ACR_ICEN    BIT(9)
#define FLASH_ACR_DCEN    BIT(10)

void console_clock(void);

#endif
