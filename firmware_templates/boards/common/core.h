/* The core's own registers that this firmware touches, by their names in the architecture reference manuals: DDI 0403E
 * (Armv7-M), DDI 0419 (Armv6-M) and DDI 0553 (Armv8-M), where they have the same places. */
#ifndef EDGEQ_BOARD_CORE_H
#define EDGEQ_BOARD_CORE_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* NAME and what the macro `suffix` stands for, in one word. */
#define JOINED(name, suffix) JOINED_(name, suffix)
#define JOINED_(name, suffix) name##suffix

#define NVIC_ISER(n) REGISTER(0xE000E100u + 4u * (n))

/* The system timer: 24 bits, counts down. */
#define SYST_CSR     REGISTER(0xE000E010u)
#define SYST_CSR_ENABLE    BIT(0)
#define SYST_CSR_CORE_CLOCK BIT(2)
#define SYST_RVR     REGISTER(0xE000E014u)
#define SYST_CVR     REGISTER(0xE000E018u)

#define SCB_ICSR     REGISTER(0xE000ED04u)
#define SCB_VTOR     REGISTER(0xE000ED08u)
#define SCB_CCR      REGISTER(0xE000ED14u)
#define SCB_CCR_DC         BIT(16)
#define SCB_CCR_IC         BIT(17)
#define SCB_SHCSR    REGISTER(0xE000ED24u)
#define SCB_SHCSR_FAULTS_ENABLED (BIT(16) | BIT(17) | BIT(18)) /* MemManage, BusFault, UsageFault */
#define SCB_CFSR     REGISTER(0xE000ED28u)
#define SCB_CCSIDR   REGISTER(0xE000ED80u)
#define SCB_CSSELR   REGISTER(0xE000ED84u)
#define SCB_CPACR    REGISTER(0xE000ED88u)
#define SCB_CPACR_FPU_FULL (15u << 20)
#define SCB_ICIALLU  REGISTER(0xE000EF50u)
#define SCB_DCISW    REGISTER(0xE000EF60u)

/* Data watchpoint and trace: a counter of clock cycles, where a core has it. */
#define DEMCR        REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA       BIT(24)
#define DWT_CTRL     REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA BIT(0)
#define DWT_CYCCNT   REGISTER(0xE0001004u)
#define DWT_LAR      REGISTER(0xE0001FB0u)
#define DWT_LAR_KEY        0xC5ACCE55u

#endif
