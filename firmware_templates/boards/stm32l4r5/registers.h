/* The few registers that this firmware touches, by their names in RM0432 (STM32L4+ reference manual) and, for the
 * core's own, the Armv7-M Architecture Reference Manual (DDI 0403E). */
#ifndef EDGEQ_BOARD_REGISTERS_H
#define EDGEQ_BOARD_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* RCC: RM0432 chapter 6 */
#define RCC_CR       REGISTER(0x40021000u)
#define RCC_CR_HSION    BIT(8)
#define RCC_CR_HSIRDY   BIT(10)
#define RCC_CR_PLLON    BIT(24)
#define RCC_CR_PLLRDY   BIT(25)
#define RCC_CFGR     REGISTER(0x40021008u)
#define RCC_CFGR_SW_MASK    (3u << 0)
#define RCC_CFGR_SW_PLL     (3u << 0)
#define RCC_CFGR_SWS_MASK   (3u << 2)
#define RCC_CFGR_SWS_PLL    (3u << 2)
#define RCC_CFGR_HPRE_MASK  (15u << 4)
#define RCC_CFGR_HPRE_DIV2  (8u << 4)
#define RCC_PLLCFGR  REGISTER(0x4002100Cu)
#define RCC_PLLCFGR_SRC_HSI16 (2u << 0)
#define RCC_PLLCFGR_M(m)      (((m) - 1u) << 4)
#define RCC_PLLCFGR_N(n)      ((n) << 8)
#define RCC_PLLCFGR_REN       BIT(24)
#define RCC_PLLCFGR_R_DIV2    (0u << 25)
#define RCC_AHB2ENR  REGISTER(0x4002104Cu)
#define RCC_AHB2ENR_GPIOGEN   BIT(6)
#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR1_TIM2EN   BIT(0)
#define RCC_APB1ENR1_PWREN    BIT(28)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define RCC_APB1ENR2_LPUART1EN BIT(0)
#define RCC_CCIPR    REGISTER(0x40021088u)
#define RCC_CCIPR_LPUART1SEL_MASK  (3u << 10)
#define RCC_CCIPR_LPUART1SEL_HSI16 (2u << 10)

/* PWR: RM0432 chapter 5 */
#define PWR_CR2      REGISTER(0x40007004u)
#define PWR_CR2_IOSV      BIT(9)
#define PWR_CR5      REGISTER(0x40007080u)
#define PWR_CR5_R1MODE    BIT(8)

/* FLASH: RM0432 chapter 3 */
#define FLASH_ACR    REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY_MASK 15u
#define FLASH_ACR_PRFTEN  BIT(8)
#define FLASH_ACR_ICEN    BIT(9)
#define FLASH_ACR_DCEN    BIT(10)

/* GPIO port G: RM0432 chapter 8 */
#define GPIOG_MODER  REGISTER(0x48001800u) /* two bits a pin, 2 = alternate function */
#define GPIOG_PUPDR  REGISTER(0x4800180Cu) /* two bits a pin, 1 = pull-up */
#define GPIOG_AFRL   REGISTER(0x48001820u) /* four bits a pin, pins 0 to 7 */
#define GPIOG_AFRH   REGISTER(0x48001824u) /* pins 8 to 15 */

/* LPUART1: RM0432, chapter "Low-power universal asynchronous receiver transmitter" */
#define LPUART1_CR1  REGISTER(0x40008000u)
#define LPUART_CR1_UE     BIT(0)
#define LPUART_CR1_RE     BIT(2)
#define LPUART_CR1_TE     BIT(3)
#define LPUART_CR1_RXFNEIE BIT(5)
#define LPUART_CR1_FIFOEN BIT(29)
#define LPUART1_BRR  REGISTER(0x4000800Cu)
#define LPUART1_ISR  REGISTER(0x4000801Cu)
#define LPUART_ISR_PE     BIT(0)
#define LPUART_ISR_FE     BIT(1)
#define LPUART_ISR_NE     BIT(2)
#define LPUART_ISR_ORE    BIT(3)
#define LPUART_ISR_RXFNE  BIT(5)
#define LPUART_ISR_TXFNF  BIT(7)
#define LPUART1_ICR  REGISTER(0x40008020u) /* its flags are where ISR has them */
#define LPUART1_RDR  REGISTER(0x40008024u)
#define LPUART1_TDR  REGISTER(0x40008028u)
#define LPUART1_IRQ  70u                   /* RM0432, NVIC chapter, vector table */

/* TIM2, 32 bits: RM0432 chapter 38 */
#define TIM2_CR1     REGISTER(0x40000000u)
#define TIM_CR1_CEN       BIT(0)
#define TIM2_EGR     REGISTER(0x40000014u)
#define TIM_EGR_UG        BIT(0)
#define TIM2_CNT     REGISTER(0x40000024u)
#define TIM2_PSC     REGISTER(0x40000028u)
#define TIM2_ARR     REGISTER(0x4000002Cu)

/* The core: DDI 0403E chapters B3 and C1 */
#define NVIC_ISER(n) REGISTER(0xE000E100u + 4u * (n))
#define SCB_ICSR     REGISTER(0xE000ED04u)
#define SCB_VTOR     REGISTER(0xE000ED08u)
#define SCB_SHCSR    REGISTER(0xE000ED24u)
#define SCB_SHCSR_FAULTS_ENABLED (BIT(16) | BIT(17) | BIT(18)) /* MemManage, BusFault, UsageFault */
#define SCB_CFSR     REGISTER(0xE000ED28u)
#define SCB_CPACR    REGISTER(0xE000ED88u)
#define SCB_CPACR_FPU_FULL (15u << 20)
#define DEMCR        REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA      BIT(24)
#define DWT_CTRL     REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA BIT(0)
#define DWT_CYCCNT   REGISTER(0xE0001004u)

#endif
