/* The console: LPUART1 on PG7 (transmit) and PG8 (receive), which the ST-LINK shows as a serial port.
 * Received bytes go through an interrupt into a ring, so that none is lost during an inference; sending waits. */
#include "board/console.h"

#include "board/config.h"
#include "board/registers.h"
#include "runtime/board.h"

#define HSI16_HZ 16000000u
/* RM0432, "LPUART baud rate generation": BRR = 256 * clock / baud, here rounded to nearest;
 * at least 0x300, at most 20 bits. */
#define BAUD_DIVISOR ((256u * (HSI16_HZ / 64u) + EDGEQ_CONSOLE_BAUD / 128u) / (EDGEQ_CONSOLE_BAUD / 64u))
#if 3 * EDGEQ_CONSOLE_BAUD > 16000000 || EDGEQ_CONSOLE_BAUD < 4800 || EDGEQ_CONSOLE_BAUD % 64 != 0
#error "LPUART1 on HSI16 makes multiples of 64 from 4800 to 5333333 baud"
#endif

#define RING_BYTES 512u /* a power of two, of more than a full command */
#define ERRORS (LPUART_ISR_PE | LPUART_ISR_FE | LPUART_ISR_NE | LPUART_ISR_ORE)

/* Written by the interrupt at `ring_in`, read at `ring_out`; both count on and are reduced when used. */
static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t ring_in;
static volatile uint32_t ring_out;

void console_init(void) {
    PWR_CR2 |= PWR_CR2_IOSV; /* PG2 to PG15 are supplied by VDDIO2, isolated until this (RM0432, chapter 5) */

    RCC_AHB2ENR |= RCC_AHB2ENR_GPIOGEN;
    (void)RCC_AHB2ENR;
    GPIOG_AFRL = (GPIOG_AFRL & ~(15u << 28)) | 8u << 28; /* PG7: AF8, LPUART1_TX (DS12023, alternate functions) */
    GPIOG_AFRH = (GPIOG_AFRH & ~15u) | 8u;               /* PG8: AF8, LPUART1_RX */
    GPIOG_PUPDR = (GPIOG_PUPDR & ~(3u << 16)) | 1u << 16; /* PG8 pulled up: quiet when nothing drives it */
    GPIOG_MODER = (GPIOG_MODER & ~(15u << 14)) | 10u << 14;

    RCC_CCIPR = (RCC_CCIPR & ~RCC_CCIPR_LPUART1SEL_MASK) | RCC_CCIPR_LPUART1SEL_HSI16;
    RCC_APB1ENR2 |= RCC_APB1ENR2_LPUART1EN;
    (void)RCC_APB1ENR2;
    LPUART1_BRR = BAUD_DIVISOR;
    LPUART1_CR1 = LPUART_CR1_FIFOEN; /* may only change while UE is 0 */
    LPUART1_CR1 |= LPUART_CR1_UE | LPUART_CR1_RE | LPUART_CR1_TE | LPUART_CR1_RXFNEIE;
    NVIC_ISER(LPUART1_IRQ / 32u) = BIT(LPUART1_IRQ % 32u);
}

void LPUART1_IRQHandler(void);
void LPUART1_IRQHandler(void) {
    uint32_t status = LPUART1_ISR;
    while ((status & LPUART_ISR_RXFNE) != 0) {
        const uint8_t byte = (uint8_t)LPUART1_RDR;
        const uint32_t at = ring_in;
        if (at - ring_out < RING_BYTES) { /* a full ring drops: the protocol's hosts wait for m-ready */
            ring[at % RING_BYTES] = byte;
            ring_in = at + 1u;
        }
        status = LPUART1_ISR;
    }
    /* An overrun that isn't cleared would raise this interrupt for ever (RXFNEIE covers ORE). */
    LPUART1_ICR = status & ERRORS;
}

int board_get(void) {
    const uint32_t at = ring_out;
    if (at == ring_in) {
        return -1;
    }
    const uint8_t byte = ring[at % RING_BYTES];
    ring_out = at + 1u;
    return byte;
}

void board_put(uint8_t byte) {
    while ((LPUART1_ISR & LPUART_ISR_TXFNF) == 0) {
    }
    LPUART1_TDR = byte;
}

void board_idle(void) {
    /* With interrupts held back, a byte that comes between the test and WFI still ends WFI. */
    __asm volatile("cpsid i" ::: "memory");
    if (ring_out == ring_in) {
        __asm volatile("dsb\n wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}
