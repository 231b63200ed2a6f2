/* The console: a USART or LPUART, which the board's debug probe shows as a serial port (config.h says which, and its
 * pins). Received bytes go through an interrupt into a ring, so that none is lost during an inference; sending waits. */
#include <stdint.h>

#include "board/parts.h"
#include "board/pins.h"
#include "runtime/board.h"

#define USART(offset) REGISTER(EDGEQ_CONSOLE_BASE + (offset))

#ifdef USART_FIRST_GENERATION /* STM32F4: RM0090 chapter 30 */
#define USART_ISR    0x00u /* SR */
#define USART_RDR    0x04u /* DR */
#define USART_TDR    0x04u
#define USART_BRR    0x08u
#define USART_CR1    0x0Cu
#define USART_CR1_UE       BIT(13)
#else /* RM0432, chapters on USART and LPUART; RM0385, RM0433, RM0444, RM0456 alike */
#define USART_CR1    0x00u
#define USART_CR1_UE       BIT(0)
#define USART_CR1_FIFOEN   BIT(29)
#define USART_BRR    0x0Cu
#define USART_ISR    0x1Cu
#define USART_ICR    0x20u /* its flags are where ISR has them */
#define USART_RDR    0x24u
#define USART_TDR    0x28u
#endif
#define USART_CR1_RE       BIT(2)
#define USART_CR1_TE       BIT(3)
#define USART_CR1_RXNEIE   BIT(5)
#define USART_ISR_ERRORS   (BIT(0) | BIT(1) | BIT(2) | BIT(3)) /* parity, framing, noise, overrun */
#define USART_ISR_RXNE     BIT(5)
#define USART_ISR_TXE      BIT(7)

#define CONSOLE_IS_LPUART1 1
#if JOINED(CONSOLE_IS_, EDGEQ_CONSOLE)
/* RM0432, "LPUART baud rate generation": BRR = 256 * clock / baud, here rounded to nearest; at least 0x300, at most
 * 20 bits. */
#define BAUD_DIVISOR ((256u * (CONSOLE_HZ / 64u) + EDGEQ_CONSOLE_BAUD / 128u) / (EDGEQ_CONSOLE_BAUD / 64u))
#if 3 * EDGEQ_CONSOLE_BAUD > CONSOLE_HZ || EDGEQ_CONSOLE_BAUD < 4800 || EDGEQ_CONSOLE_BAUD % 64 != 0
#error "an LPUART makes multiples of 64 baud, from 4800 up to a third of its clock"
#endif
#else
/* RM0432, "USART baud rate generation": clock / baud with 16 samples a bit, at least 16 and at most 16 bits. */
#define BAUD_DIVISOR ((CONSOLE_HZ + EDGEQ_CONSOLE_BAUD / 2u) / EDGEQ_CONSOLE_BAUD)
#if 16 * EDGEQ_CONSOLE_BAUD > CONSOLE_HZ || CONSOLE_HZ / EDGEQ_CONSOLE_BAUD > 65535
#error "the console's clock doesn't make that many baud"
#endif
#endif

void console_init(void) {
    pin_alternate(EDGEQ_CONSOLE_TX_PORT, EDGEQ_CONSOLE_TX_PIN, EDGEQ_CONSOLE_FUNCTION, GPIO_PULL_NONE);
    /* Pulled up: quiet when nothing drives it. */
    pin_alternate(EDGEQ_CONSOLE_RX_PORT, EDGEQ_CONSOLE_RX_PIN, EDGEQ_CONSOLE_FUNCTION, GPIO_PULL_UP);
    console_clock();
    clock_on(&REGISTER(RCC_BASE + EDGEQ_CONSOLE_CLOCK_REGISTER), BIT(EDGEQ_CONSOLE_CLOCK_BIT));
    USART(USART_BRR) = BAUD_DIVISOR;
#ifdef USART_HAS_FIFO
    USART(USART_CR1) = USART_CR1_FIFOEN; /* may only change while UE is 0 */
#endif
    USART(USART_CR1) |= USART_CR1_UE | USART_CR1_RE | USART_CR1_TE | USART_CR1_RXNEIE;
}

void Console_IRQHandler(void) {
    uint32_t status = USART(USART_ISR);
    while ((status & USART_ISR_RXNE) != 0) {
        received((uint8_t)USART(USART_RDR));
        status = USART(USART_ISR);
    }
    /* An overrun that isn't cleared would raise this interrupt for ever (RXNEIE covers ORE). */
#ifdef USART_FIRST_GENERATION
    if ((status & USART_ISR_ERRORS) != 0) {
        (void)USART(USART_RDR); /* reading SR, then DR clears them */
    }
#else
    USART(USART_ICR) = status & USART_ISR_ERRORS;
#endif
}

void board_put(uint8_t byte) {
    while ((USART(USART_ISR) & USART_ISR_TXE) == 0) {
    }
    USART(USART_TDR) = byte;
}
