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
#define USART_ISR_TC       BIT(6) /* the last bit has left */
#define USART_ISR_TXE      BIT(7)

#define CONSOLE_IS_LPUART1 1
#if JOINED(CONSOLE_IS_, EDGEQ_CONSOLE)
/* RM0432, "LPUART baud rate generation": BRR = 256 * clock / baud, here rounded to nearest; at least 0x300, at most
 * 20 bits. */
#define BAUD_DIVISOR(baud) ((256u * (CONSOLE_HZ / 64u) + (baud) / 128u) / ((baud) / 64u))
#define MAX_BAUD (CONSOLE_HZ / 3u)
#if 3 * EDGEQ_CONSOLE_BAUD > CONSOLE_HZ || EDGEQ_CONSOLE_BAUD < 4800 || EDGEQ_CONSOLE_BAUD % 64 != 0
#error "an LPUART makes multiples of 64 baud, from 4800 up to a third of its clock"
#endif
#else
/* RM0432, "USART baud rate generation": clock / baud with 16 samples a bit, at least 16 and at most 16 bits. */
#define BAUD_DIVISOR(baud) ((CONSOLE_HZ + (baud) / 2u) / (baud))
#define MAX_BAUD (CONSOLE_HZ / 16u)
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
    USART(USART_BRR) = BAUD_DIVISOR(EDGEQ_CONSOLE_BAUD);
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

/* The fastest of the usual speeds that the divisor makes to 1 %: the clock may be another 1 % off, and 4 % garble. */
uint32_t board_max_baud(void) {
    static const uint32_t usual[] = {921600u, 460800u, 230400u};
    for (unsigned i = 0; i < sizeof usual / sizeof usual[0]; ++i) {
        const uint32_t baud = usual[i];
        if (baud > MAX_BAUD) {
            continue;
        }
#if JOINED(CONSOLE_IS_, EDGEQ_CONSOLE)
        return baud; /* 256ths: always near enough */
#else
        const uint32_t made = BAUD_DIVISOR(baud) * baud;
        const uint32_t off = made > CONSOLE_HZ ? made - CONSOLE_HZ : CONSOLE_HZ - made;
        if (off * 100u <= CONSOLE_HZ) {
            return baud;
        }
#endif
    }
    return 0;
}

void board_set_baud(uint32_t baud) {
    while ((USART(USART_ISR) & USART_ISR_TC) == 0) {
    }
    USART(USART_CR1) &= ~USART_CR1_UE; /* BRR may only change while it is 0 */
    USART(USART_BRR) = BAUD_DIVISOR(baud);
    USART(USART_CR1) |= USART_CR1_UE;
}
