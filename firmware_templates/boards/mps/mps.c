/* Arm's MPS2 and MPS3 FPGA boards, and QEMU's of the same names: a console, a counter, and nothing that has to be set up.
 * DAI 0385/0386 (AN385, AN386) and DAI 0547 (AN547); the UART is the one of the Cortex-M System Design Kit (DDI 0479,
 * section 4.3). */
#include "board/config.h"
#include "board/core.h"
#include "board/family.h"
#include "board/parts.h"
#include "runtime/board.h"

#define UART(offset) REGISTER(EDGEQ_CONSOLE_BASE + (offset))
#define UART_DATA    0x00u
#define UART_STATE   0x04u
#define UART_STATE_TX_FULL   BIT(0)
#define UART_STATE_RX_FULL   BIT(1)
#define UART_CTRL    0x08u
#define UART_CTRL_TX         BIT(0)
#define UART_CTRL_RX         BIT(1)
#define UART_CTRL_RX_INTERRUPT BIT(3)
#define UART_INTCLEAR 0x0Cu
#define UART_INT_RX          BIT(1)
#define UART_BAUDDIV 0x10u /* at least 16 */

/* FPGAIO: a counter that goes up each time the prescaler has run down. */
#define FPGAIO_COUNTER  REGISTER(FPGAIO_BASE + 0x18u)
#define FPGAIO_PRESCALE REGISTER(FPGAIO_BASE + 0x1Cu)

void clocks_init(void) {
}

void micros_init(void) {
    FPGAIO_PRESCALE = EDGEQ_CLOCK_HZ / 1000000u - 1u;
    FPGAIO_COUNTER = 0;
}

uint32_t board_micros(void) {
    return FPGAIO_COUNTER;
}

void console_init(void) {
    UART(UART_BAUDDIV) = EDGEQ_CLOCK_HZ / EDGEQ_CONSOLE_BAUD;
    UART(UART_CTRL) = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_INTERRUPT;
}

void Console_IRQHandler(void) {
    UART(UART_INTCLEAR) = UART_INT_RX;
    while ((UART(UART_STATE) & UART_STATE_RX_FULL) != 0) {
        received((uint8_t)UART(UART_DATA));
    }
}

void board_put(uint8_t byte) {
    while ((UART(UART_STATE) & UART_STATE_TX_FULL) != 0) {
    }
    UART(UART_DATA) = byte;
}

/* No pin that a meter could watch. */
void pin_init(void) {
}

void board_pin(int high) {
    (void)high;
}
