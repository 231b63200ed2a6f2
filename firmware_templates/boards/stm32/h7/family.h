/* STM32H7: where things are in the STM32H743/753 (RM0433) and the STM32H7A3/7B3 (RM0455), which name the same registers
 * after domains (D1, D2, D3) and after what these became (CD, SRD). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#include "board/config.h"
#include "board/core.h"

#define USART_HAS_FIFO 1
#define GPIO_BASE    0x58020000u
#define TIM2_BASE    0x40000000u
#define CONSOLE_HZ   64000000u /* HSI */

#if EDGEQ_MAX_CLOCK_HZ == 480000000 || EDGEQ_MAX_CLOCK_HZ == 400000000 /* STM32H743 and its kin, supplied by the LDO */
#define STM32H743 1
#define TIM2_HZ      (EDGEQ_CLOCK_HZ / 2u) /* AHB at half the core's clock, APB at a quarter, timers at twice that */
#define WRITE_DELAY  2u                    /* FLASH_ACR.WRHIGHFREQ up to 240 MHz of AXI clock (RM0433, table 17) */
#elif EDGEQ_MAX_CLOCK_HZ == 280000000 /* STM32H7A3 and its kin with SMPS */
#define TIM2_HZ      EDGEQ_CLOCK_HZ /* AHB at the core's clock, APB at half, timers at twice that */
#define WRITE_DELAY  3u             /* up to 280 MHz (RM0455, table 16) */
#else
#error "which STM32H7 this is can't be told from its highest clock: 480 or 400 MHz = STM32H743, 280 MHz = STM32H7A3"
#endif

/* RCC: RM0433 chapter 8, RM0455 chapter 8 */
#define RCC_BASE     0x58024400u
#define RCC_CR       REGISTER(RCC_BASE + 0x00u)
#define RCC_CR_HSION    BIT(0)
#define RCC_CR_HSIRDY   BIT(2)
#define RCC_CR_HSIDIV_MASK (3u << 3)
#define RCC_CR_PLL1ON   BIT(24)
#define RCC_CR_PLL1RDY  BIT(25)
#define RCC_CFGR     REGISTER(RCC_BASE + 0x10u)
#define RCC_CFGR_SW_PLL1      3u
#define RCC_CFGR_SWS_MASK     (7u << 3)
#define RCC_CFGR_SWS_PLL1     (3u << 3)
#define RCC_D1CFGR   REGISTER(RCC_BASE + 0x18u) /* CDCFGR1 */
#define RCC_D1CFGR_HPRE_DIV2  (8u << 0)
#define RCC_D1CFGR_D1PPRE_DIV2 (4u << 4)
#define RCC_D2CFGR   REGISTER(RCC_BASE + 0x1Cu) /* CDCFGR2 */
#define RCC_D2CFGR_D2PPRE1_DIV2 (4u << 4)
#define RCC_D2CFGR_D2PPRE2_DIV2 (4u << 8)
#define RCC_D3CFGR   REGISTER(RCC_BASE + 0x20u) /* SRDCFGR */
#define RCC_D3CFGR_D3PPRE_DIV2 (4u << 4)
#define RCC_PLLCKSELR REGISTER(RCC_BASE + 0x28u)
#define RCC_PLLCKSELR_SRC_HSI (0u << 0)
#define RCC_PLLCKSELR_DIVM1(m) ((m) << 4)
#define RCC_PLLCFGR  REGISTER(RCC_BASE + 0x2Cu)
#define RCC_PLLCFGR_PLL1_FIELDS (BIT(0) | BIT(1) | 3u << 2 | BIT(16) | BIT(17) | BIT(18))
#define RCC_PLLCFGR_PLL1RGE_4_TO_8 (2u << 2) /* and PLL1VCOSEL = 0: the wide range */
#define RCC_PLLCFGR_DIVP1EN   BIT(16)
#define RCC_PLL1DIVR REGISTER(RCC_BASE + 0x30u)
#define RCC_PLL1DIVR_N(n)     ((n) - 1u)
#define RCC_PLL1DIVR_P(p)     (((p) - 1u) << 9)
#define RCC_PLL1DIVR_QR_DIV2  (1u << 16 | 1u << 24)
#define RCC_D2CCIP2R REGISTER(RCC_BASE + 0x54u) /* CDCCIP2R */
#define RCC_D2CCIP2R_USART234578_MASK (7u << 0)
#define RCC_D2CCIP2R_USART234578_HSI  (3u << 0)
#define RCC_GPIO_ENABLE REGISTER(RCC_BASE + 0xE0u) /* AHB4ENR */
#define RCC_TIM2_ENABLE REGISTER(RCC_BASE + 0xE8u) /* APB1LENR */
#define RCC_APB4ENR  REGISTER(RCC_BASE + 0xF4u)
#define RCC_APB4ENR_SYSCFGEN  BIT(1)

/* PWR: RM0433 chapter 6, RM0455 chapter 6 */
#define PWR_CSR1     REGISTER(0x58024804u)
#define PWR_CSR1_ACTVOSRDY BIT(13)
#define PWR_CR3      REGISTER(0x5802480Cu)
#define PWR_CR3_BYPASS    BIT(0)
#define PWR_CR3_LDOEN     BIT(1)
#define PWR_CR3_SCUEN     BIT(2) /* on the STM32H7A3: SMPSEN */
#define PWR_D3CR     REGISTER(0x58024818u) /* SRDCR */
#define PWR_D3CR_VOSRDY   BIT(13)
#define PWR_D3CR_VOS_MASK (3u << 14)
#define PWR_D3CR_VOS_HIGHEST (3u << 14) /* STM32H743: scale 1; STM32H7A3: scale 0 */
#define SYSCFG_PWRCR REGISTER(0x5800042Cu)
#define SYSCFG_PWRCR_ODEN BIT(0)

/* FLASH: RM0433 chapter 4, RM0455 chapter 4 */
#define FLASH_ACR    REGISTER(0x52002000u)

void console_clock(void);

#endif
