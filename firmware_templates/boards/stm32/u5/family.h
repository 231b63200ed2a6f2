/* STM32U5: where things are in the STM32U575/585 (RM0456), at their non-secure addresses: TrustZone is off (option bit
 * TZEN, as delivered). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define USART_HAS_FIFO 1
#define GPIO_BASE    0x42020000u
#define TIM2_BASE    0x40000000u
#define TIM2_HZ      EDGEQ_CLOCK_HZ /* no bus is divided */
#define CONSOLE_HZ   16000000u      /* HSI16 */

/* RCC: RM0456 chapter 11 */
#define RCC_BASE     0x46020C00u
#define RCC_CR       REGISTER(RCC_BASE + 0x00u)
#define RCC_CR_HSION    BIT(8)
#define RCC_CR_HSIRDY   BIT(10)
#define RCC_CR_PLL1ON   BIT(24)
#define RCC_CR_PLL1RDY  BIT(25)
#define RCC_CFGR1    REGISTER(RCC_BASE + 0x1Cu)
#define RCC_CFGR1_SW_MASK     3u
#define RCC_CFGR1_SW_PLL1     3u
#define RCC_CFGR1_SWS_MASK    (3u << 2)
#define RCC_CFGR1_SWS_PLL1    (3u << 2)
#define RCC_PLL1CFGR REGISTER(RCC_BASE + 0x28u)
#define RCC_PLL1CFGR_SRC_HSI16 (2u << 0)
#define RCC_PLL1CFGR_RGE_4_TO_8 (0u << 2)
#define RCC_PLL1CFGR_M(m)     (((m) - 1u) << 8)
#define RCC_PLL1CFGR_MBOOST_DIV1 (0u << 12) /* the booster's clock: 4 to 16 MHz */
#define RCC_PLL1CFGR_REN      BIT(18)
#define RCC_PLL1DIVR REGISTER(RCC_BASE + 0x34u)
#define RCC_PLL1DIVR_N(n)     ((n) - 1u)
#define RCC_PLL1DIVR_PQ_DIV2  (1u << 9 | 1u << 16)
#define RCC_PLL1DIVR_R(r)     (((r) - 1u) << 24)
#define RCC_GPIO_ENABLE REGISTER(RCC_BASE + 0x8Cu) /* AHB2ENR1 */
#define RCC_AHB3ENR  REGISTER(RCC_BASE + 0x94u)
#define RCC_AHB3ENR_PWREN     BIT(2)
#define RCC_TIM2_ENABLE REGISTER(RCC_BASE + 0x9Cu) /* APB1ENR1 */
#define RCC_CCIPR1   REGISTER(RCC_BASE + 0xE0u)

/* PWR: RM0456 chapter 10 */
#define PWR_CR3      REGISTER(0x46020808u)
#define PWR_CR3_REGSEL    BIT(1)
#define PWR_VOSR     REGISTER(0x4602080Cu)
#define PWR_VOSR_BOOSTRDY BIT(14)
#define PWR_VOSR_VOSRDY   BIT(15)
#define PWR_VOSR_VOS_RANGE1 (3u << 16)
#define PWR_VOSR_BOOSTEN  BIT(18)
#define PWR_SVMSR    REGISTER(0x4602083Cu)
#define PWR_SVMSR_REGS    BIT(1)

/* FLASH: RM0456 chapter 7; ICACHE: chapter 8 */
#define FLASH_ACR    REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY_MASK 15u
#define FLASH_ACR_PRFTEN  BIT(8)
#define ICACHE_CR    REGISTER(0x40030400u)
#define ICACHE_CR_EN      BIT(0)

void console_clock(void);

#endif
