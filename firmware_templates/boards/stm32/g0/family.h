/* STM32G0: where things are in the STM32G0x1 (RM0444). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define USART_HAS_FIFO 1
#define GPIO_BASE    0x50000000u
#define TIM2_BASE    0x40000000u
#define TIM2_HZ      EDGEQ_CLOCK_HZ /* neither the AHB nor the APB is divided */
#define CONSOLE_HZ   16000000u      /* HSI16 */

/* RCC: RM0444 chapter 5 */
#define RCC_BASE     0x40021000u
#define RCC_CR       REGISTER(RCC_BASE + 0x00u)
#define RCC_CR_HSION    BIT(8)
#define RCC_CR_HSIRDY   BIT(10)
#define RCC_CR_HSIDIV_MASK (7u << 11)
#define RCC_CR_PLLON    BIT(24)
#define RCC_CR_PLLRDY   BIT(25)
#define RCC_CFGR     REGISTER(RCC_BASE + 0x08u)
#define RCC_CFGR_SW_MASK      7u
#define RCC_CFGR_SW_PLLR      2u
#define RCC_CFGR_SWS_MASK     (7u << 3)
#define RCC_CFGR_SWS_PLLR     (2u << 3)
#define RCC_PLLCFGR  REGISTER(RCC_BASE + 0x0Cu)
#define RCC_PLLCFGR_SRC_HSI16 (2u << 0)
#define RCC_PLLCFGR_M(m)      (((m) - 1u) << 4)
#define RCC_PLLCFGR_N(n)      ((n) << 8)
#define RCC_PLLCFGR_REN       BIT(28)
#define RCC_PLLCFGR_R(r)      (((r) - 1u) << 29)
#define RCC_GPIO_ENABLE REGISTER(RCC_BASE + 0x34u) /* IOPENR */
#define RCC_TIM2_ENABLE REGISTER(RCC_BASE + 0x3Cu) /* APBENR1 */
#define RCC_CCIPR    REGISTER(RCC_BASE + 0x54u)

/* FLASH: RM0444 chapter 3 */
#define FLASH_ACR    REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY_MASK 7u
#define FLASH_ACR_PRFTEN  BIT(8)
#define FLASH_ACR_ICEN    BIT(9)

void console_clock(void);

#endif
