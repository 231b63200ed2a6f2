/* TIM2 counts microseconds: unlike CYCCNT and the core's clock it doesn't stop in sleep, and unlike SysTick's
 * it needs no interrupt, which would be in the way of what is measured. */
#include "board/parts.h"
#include "board/stm32.h"
#include "runtime/board.h"

#define TIM2(offset) REGISTER(TIM2_BASE + (offset)) /* 32 bits wide: RM0432 chapter 38, and the same elsewhere */
#define TIM_CR1      0x00u
#define TIM_CR1_CEN        BIT(0)
#define TIM_EGR      0x14u
#define TIM_EGR_UG         BIT(0)
#define TIM_CNT      0x24u
#define TIM_PSC      0x28u
#define TIM_ARR      0x2Cu

#if TIM2_HZ % 1000000 != 0
#error "the timer's clock must be a whole number of MHz"
#endif

void micros_init(void) {
    clock_on(&RCC_TIM2_ENABLE, BIT(0)); /* TIM2EN is bit 0 in every family */
    TIM2(TIM_PSC) = TIM2_HZ / 1000000u - 1u;
    TIM2(TIM_ARR) = 0xFFFFFFFFu;
    TIM2(TIM_EGR) = TIM_EGR_UG; /* load the prescaler now */
    TIM2(TIM_CR1) = TIM_CR1_CEN;
}

uint32_t board_micros(void) {
    return TIM2(TIM_CNT);
}
