/* The console: a PL011 UART (RP2040 Datasheet section 4.2, RP2350 Datasheet section 12.1) on the pins of config.h.
 * Received bytes go through an interrupt into a ring, so that none is lost during an inference; sending waits. */
#include "board/parts.h"
#include "board/rp2.h"
#include "runtime/board.h"

#define UART(offset) REGISTER(EDGEQ_CONSOLE_BASE + (offset))
#define UARTDR       0x00u
#define UARTFR       0x18u
#define UARTFR_BUSY        BIT(3)
#define UARTFR_RXFE        BIT(4)
#define UARTFR_TXFF        BIT(5)
#define UARTIBRD     0x24u
#define UARTFBRD     0x28u
#define UARTLCR_H    0x2Cu
#define UARTLCR_H_FEN      BIT(4)
#define UARTLCR_H_8_BITS   (3u << 5)
#define UARTCR       0x30u
#define UARTCR_UARTEN      BIT(0)
#define UARTCR_TXE         BIT(8)
#define UARTCR_RXE         BIT(9)
#define UARTIFLS     0x34u /* 0: interrupts from 4 of 32 bytes on */
#define UARTIMSC     0x38u
#define UARTICR      0x44u
#define UART_INT_RECEIVE   BIT(4)
#define UART_INT_TIMEOUT   BIT(6) /* fewer bytes than the level, and no more have come for 32 bits' time */
#define UART_INT_OVERRUN   BIT(10)

/* 64 * clock / (16 * baud), rounded: whole part and 64ths. */
#define BAUD_DIVISOR(baud) ((EDGEQ_CLOCK_HZ * 8u / (baud) + 1u) / 2u)
#if EDGEQ_CLOCK_HZ > 500000000 || 16 * EDGEQ_CONSOLE_BAUD > EDGEQ_CLOCK_HZ || EDGEQ_CONSOLE_BAUD < 300
#error "the UART doesn't make that many baud"
#endif

static void set_speed(uint32_t baud) {
    const uint32_t divisor = BAUD_DIVISOR(baud);
    UART(UARTCR) = 0;
    UART(UARTIBRD) = divisor / 64u;
    UART(UARTFBRD) = divisor % 64u;
    UART(UARTLCR_H) = UARTLCR_H_FEN | UARTLCR_H_8_BITS; /* also what makes the two above count */
    UART(UARTCR) = UARTCR_UARTEN | UARTCR_TXE | UARTCR_RXE;
}

void console_init(void) {
    out_of_reset(JOINED(RESETS_, EDGEQ_CONSOLE));
    set_speed(EDGEQ_CONSOLE_BAUD);
    UART(UARTIFLS) = 0;
    UART(UARTIMSC) = UART_INT_RECEIVE | UART_INT_TIMEOUT;
    pin_function(EDGEQ_CONSOLE_TX_PIN, IO_FUNCTION_UART, 0);
    pin_function(EDGEQ_CONSOLE_RX_PIN, IO_FUNCTION_UART, PAD_PULL_UP | PAD_INPUT);
}

void Console_IRQHandler(void) {
    while ((UART(UARTFR) & UARTFR_RXFE) == 0) {
        received((uint8_t)UART(UARTDR));
    }
    UART(UARTICR) = UART_INT_RECEIVE | UART_INT_TIMEOUT | UART_INT_OVERRUN;
}

void board_put(uint8_t byte) {
    while ((UART(UARTFR) & UARTFR_TXFF) != 0) {
    }
    UART(UARTDR) = byte;
}

uint32_t board_max_baud(void) {
    return 921600u;
}

void board_set_baud(uint32_t baud) {
    while ((UART(UARTFR) & UARTFR_BUSY) != 0) {
    }
    set_speed(baud);
}
