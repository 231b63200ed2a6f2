/* The vector table: DDI 0403E, "The vector table", then RM0432, NVIC chapter. A function of one's own with one of
 * these names takes the place of the default, which reports the interrupt's number and stops. */
#include <stdint.h>

#include "board/linker.h"

typedef void (*handler)(void);

void Reset_Handler(void);

/* Hands over the stack pointer as it was and starts with a fresh stack: the old one may be full. */
__attribute__((naked)) void Fault_Handler(void);
void Fault_Handler(void) {
    __asm volatile("mrs r0, msp\n"
                   "ldr r1, =_stack_top\n"
                   "msr msp, r1\n"
                   "b fault_report\n");
}

#define WEAK(name) __attribute__((weak, alias("Fault_Handler"))) void name(void)
WEAK(NMI_Handler);
WEAK(HardFault_Handler);
WEAK(MemManage_Handler);
WEAK(BusFault_Handler);
WEAK(UsageFault_Handler);
WEAK(SVC_Handler);
WEAK(DebugMon_Handler);
WEAK(PendSV_Handler);
WEAK(SysTick_Handler);
WEAK(WWDG_IRQHandler);
WEAK(PVD_PVM_IRQHandler);
WEAK(TAMP_STAMP_IRQHandler);
WEAK(RTC_WKUP_IRQHandler);
WEAK(FLASH_IRQHandler);
WEAK(RCC_IRQHandler);
WEAK(EXTI0_IRQHandler);
WEAK(EXTI1_IRQHandler);
WEAK(EXTI2_IRQHandler);
WEAK(EXTI3_IRQHandler);
WEAK(EXTI4_IRQHandler);
WEAK(DMA1_Channel1_IRQHandler);
WEAK(DMA1_Channel2_IRQHandler);
WEAK(DMA1_Channel3_IRQHandler);
WEAK(DMA1_Channel4_IRQHandler);
WEAK(DMA1_Channel5_IRQHandler);
WEAK(DMA1_Channel6_IRQHandler);
WEAK(DMA1_Channel7_IRQHandler);
WEAK(ADC1_IRQHandler);
WEAK(CAN1_TX_IRQHandler);
WEAK(CAN1_RX0_IRQHandler);
WEAK(CAN1_RX1_IRQHandler);
WEAK(CAN1_SCE_IRQHandler);
WEAK(EXTI9_5_IRQHandler);
WEAK(TIM1_BRK_TIM15_IRQHandler);
WEAK(TIM1_UP_TIM16_IRQHandler);
WEAK(TIM1_TRG_COM_TIM17_IRQHandler);
WEAK(TIM1_CC_IRQHandler);
WEAK(TIM2_IRQHandler);
WEAK(TIM3_IRQHandler);
WEAK(TIM4_IRQHandler);
WEAK(I2C1_EV_IRQHandler);
WEAK(I2C1_ER_IRQHandler);
WEAK(I2C2_EV_IRQHandler);
WEAK(I2C2_ER_IRQHandler);
WEAK(SPI1_IRQHandler);
WEAK(SPI2_IRQHandler);
WEAK(USART1_IRQHandler);
WEAK(USART2_IRQHandler);
WEAK(USART3_IRQHandler);
WEAK(EXTI15_10_IRQHandler);
WEAK(RTC_Alarm_IRQHandler);
WEAK(DFSDM1_FLT3_IRQHandler);
WEAK(TIM8_BRK_IRQHandler);
WEAK(TIM8_UP_IRQHandler);
WEAK(TIM8_TRG_COM_IRQHandler);
WEAK(TIM8_CC_IRQHandler);
WEAK(FMC_IRQHandler);
WEAK(SDMMC1_IRQHandler);
WEAK(TIM5_IRQHandler);
WEAK(SPI3_IRQHandler);
WEAK(UART4_IRQHandler);
WEAK(UART5_IRQHandler);
WEAK(TIM6_DAC_IRQHandler);
WEAK(TIM7_IRQHandler);
WEAK(DMA2_Channel1_IRQHandler);
WEAK(DMA2_Channel2_IRQHandler);
WEAK(DMA2_Channel3_IRQHandler);
WEAK(DMA2_Channel4_IRQHandler);
WEAK(DMA2_Channel5_IRQHandler);
WEAK(DFSDM1_FLT0_IRQHandler);
WEAK(DFSDM1_FLT1_IRQHandler);
WEAK(DFSDM1_FLT2_IRQHandler);
WEAK(COMP_IRQHandler);
WEAK(LPTIM1_IRQHandler);
WEAK(LPTIM2_IRQHandler);
WEAK(OTG_FS_IRQHandler);
WEAK(DMA2_Channel6_IRQHandler);
WEAK(DMA2_Channel7_IRQHandler);
WEAK(LPUART1_IRQHandler);
WEAK(OCTOSPI1_IRQHandler);
WEAK(I2C3_EV_IRQHandler);
WEAK(I2C3_ER_IRQHandler);
WEAK(SAI1_IRQHandler);
WEAK(SAI2_IRQHandler);
WEAK(OCTOSPI2_IRQHandler);
WEAK(TSC_IRQHandler);
WEAK(RNG_IRQHandler);
WEAK(FPU_IRQHandler);
WEAK(CRS_IRQHandler);
WEAK(I2C4_ER_IRQHandler);
WEAK(I2C4_EV_IRQHandler);
WEAK(DCMI_IRQHandler);
WEAK(DMA2D_IRQHandler);
WEAK(DMAMUX1_OVR_IRQHandler);

typedef union {
    uint32_t *stack;
    handler function;
} vector;

#define VECTOR(name) {.function = name}
#define RESERVED {.function = (handler)0}

extern const vector vectors[];
__attribute__((used, section(".isr_vector"))) const vector vectors[] = {
    {.stack = _stack_top}, /* the initial stack pointer */
    VECTOR(Reset_Handler),
    VECTOR(NMI_Handler),
    VECTOR(HardFault_Handler),
    VECTOR(MemManage_Handler),
    VECTOR(BusFault_Handler),
    VECTOR(UsageFault_Handler),
    RESERVED,
    RESERVED,
    RESERVED,
    RESERVED,
    VECTOR(SVC_Handler),
    VECTOR(DebugMon_Handler),
    RESERVED,
    VECTOR(PendSV_Handler),
    VECTOR(SysTick_Handler),
    /* external interrupts, from 0 on */
    VECTOR(WWDG_IRQHandler), /* 0 */
    VECTOR(PVD_PVM_IRQHandler),
    VECTOR(TAMP_STAMP_IRQHandler),
    VECTOR(RTC_WKUP_IRQHandler),
    VECTOR(FLASH_IRQHandler),
    VECTOR(RCC_IRQHandler),
    VECTOR(EXTI0_IRQHandler),
    VECTOR(EXTI1_IRQHandler),
    VECTOR(EXTI2_IRQHandler),
    VECTOR(EXTI3_IRQHandler),
    VECTOR(EXTI4_IRQHandler), /* 10 */
    VECTOR(DMA1_Channel1_IRQHandler),
    VECTOR(DMA1_Channel2_IRQHandler),
    VECTOR(DMA1_Channel3_IRQHandler),
    VECTOR(DMA1_Channel4_IRQHandler),
    VECTOR(DMA1_Channel5_IRQHandler),
    VECTOR(DMA1_Channel6_IRQHandler),
    VECTOR(DMA1_Channel7_IRQHandler),
    VECTOR(ADC1_IRQHandler),
    VECTOR(CAN1_TX_IRQHandler),
    VECTOR(CAN1_RX0_IRQHandler), /* 20 */
    VECTOR(CAN1_RX1_IRQHandler),
    VECTOR(CAN1_SCE_IRQHandler),
    VECTOR(EXTI9_5_IRQHandler),
    VECTOR(TIM1_BRK_TIM15_IRQHandler),
    VECTOR(TIM1_UP_TIM16_IRQHandler),
    VECTOR(TIM1_TRG_COM_TIM17_IRQHandler),
    VECTOR(TIM1_CC_IRQHandler),
    VECTOR(TIM2_IRQHandler),
    VECTOR(TIM3_IRQHandler),
    VECTOR(TIM4_IRQHandler), /* 30 */
    VECTOR(I2C1_EV_IRQHandler),
    VECTOR(I2C1_ER_IRQHandler),
    VECTOR(I2C2_EV_IRQHandler),
    VECTOR(I2C2_ER_IRQHandler),
    VECTOR(SPI1_IRQHandler),
    VECTOR(SPI2_IRQHandler),
    VECTOR(USART1_IRQHandler),
    VECTOR(USART2_IRQHandler),
    VECTOR(USART3_IRQHandler),
    VECTOR(EXTI15_10_IRQHandler), /* 40 */
    VECTOR(RTC_Alarm_IRQHandler),
    VECTOR(DFSDM1_FLT3_IRQHandler),
    VECTOR(TIM8_BRK_IRQHandler),
    VECTOR(TIM8_UP_IRQHandler),
    VECTOR(TIM8_TRG_COM_IRQHandler),
    VECTOR(TIM8_CC_IRQHandler),
    RESERVED,
    VECTOR(FMC_IRQHandler),
    VECTOR(SDMMC1_IRQHandler),
    VECTOR(TIM5_IRQHandler), /* 50 */
    VECTOR(SPI3_IRQHandler),
    VECTOR(UART4_IRQHandler),
    VECTOR(UART5_IRQHandler),
    VECTOR(TIM6_DAC_IRQHandler),
    VECTOR(TIM7_IRQHandler),
    VECTOR(DMA2_Channel1_IRQHandler),
    VECTOR(DMA2_Channel2_IRQHandler),
    VECTOR(DMA2_Channel3_IRQHandler),
    VECTOR(DMA2_Channel4_IRQHandler),
    VECTOR(DMA2_Channel5_IRQHandler), /* 60 */
    VECTOR(DFSDM1_FLT0_IRQHandler),
    VECTOR(DFSDM1_FLT1_IRQHandler),
    VECTOR(DFSDM1_FLT2_IRQHandler),
    VECTOR(COMP_IRQHandler),
    VECTOR(LPTIM1_IRQHandler),
    VECTOR(LPTIM2_IRQHandler),
    VECTOR(OTG_FS_IRQHandler),
    VECTOR(DMA2_Channel6_IRQHandler),
    VECTOR(DMA2_Channel7_IRQHandler),
    VECTOR(LPUART1_IRQHandler), /* 70 */
    VECTOR(OCTOSPI1_IRQHandler),
    VECTOR(I2C3_EV_IRQHandler),
    VECTOR(I2C3_ER_IRQHandler),
    VECTOR(SAI1_IRQHandler),
    VECTOR(SAI2_IRQHandler),
    VECTOR(OCTOSPI2_IRQHandler),
    VECTOR(TSC_IRQHandler),
    RESERVED,
    RESERVED,
    VECTOR(RNG_IRQHandler), /* 80 */
    VECTOR(FPU_IRQHandler),
    VECTOR(CRS_IRQHandler),
    VECTOR(I2C4_ER_IRQHandler),
    VECTOR(I2C4_EV_IRQHandler),
    VECTOR(DCMI_IRQHandler),
    RESERVED,
    RESERVED,
    RESERVED,
    RESERVED,
    VECTOR(DMA2D_IRQHandler), /* 90 */
    RESERVED,
    RESERVED,
    RESERVED,
    VECTOR(DMAMUX1_OVR_IRQHandler),
};
