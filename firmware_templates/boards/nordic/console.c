/* The console: a UARTE, which the board's interface chip shows as a serial port (config.h says which pins). Bytes are
 * received one by one through an interrupt into a ring, so that none is lost during an inference; sending waits. */
#include "board/nordic.h"
#include "board/parts.h"
#include "runtime/board.h"

#define UARTE(offset) REGISTER(EDGEQ_CONSOLE_BASE + (offset))
#define UARTE_TASKS_STARTRX 0x000u
#define UARTE_TASKS_STARTTX 0x008u
#define UARTE_EVENTS_ENDRX  0x110u
#define UARTE_EVENTS_ENDTX  0x120u
#define UARTE_EVENTS_ERROR  0x124u
#define UARTE_INTENSET      0x304u
#define UARTE_INT_ENDRX           BIT(4)
#define UARTE_INT_ERROR           BIT(9)
#define UARTE_ERRORSRC      0x480u
#define UARTE_ENABLE        0x500u
#define UARTE_ENABLE_ENABLED      8u
#define UARTE_PSEL_TXD      0x50Cu
#define UARTE_PSEL_RXD      0x514u
#define UARTE_BAUDRATE      0x524u
#define UARTE_RXD_PTR       0x534u
#define UARTE_RXD_MAXCNT    0x538u
#define UARTE_TXD_PTR       0x544u
#define UARTE_TXD_MAXCNT    0x548u

/* Product Specification, register BAUDRATE: only these, and they are not a formula's. */
#define BAUDRATE(baud) \
    ((baud) == 9600u      ? 0x00275000u \
     : (baud) == 115200u  ? 0x01D60000u \
     : (baud) == 230400u  ? 0x03B00000u \
     : (baud) == 460800u  ? 0x07400000u \
     : (baud) == 921600u  ? 0x0F000000u \
     : (baud) == 1000000u ? 0x10000000u \
                          : 0u)
#if BAUDRATE(EDGEQ_CONSOLE_BAUD) == 0u
#error "the UARTE makes 9600, 115200, 230400, 460800, 921600 or 1000000 baud"
#endif

#define PIN_CNF_PULL_UP (3u << 2)  /* input, connected */
#define PIN_CNF_OUTPUT  (BIT(0) | BIT(1)) /* and its input disconnected */
#define PSEL(port, pin) ((port) << 5 | (pin))

/* What the UARTE's DMA reads and writes: it reaches RAM only. */
static volatile uint8_t sent;
static volatile uint8_t arrived;

void console_init(void) {
    GPIO(EDGEQ_CONSOLE_TX_PORT, GPIO_OUTSET) = BIT(EDGEQ_CONSOLE_TX_PIN); /* idle is high, before it is an output */
    GPIO(EDGEQ_CONSOLE_TX_PORT, GPIO_PIN_CNF + 4u * EDGEQ_CONSOLE_TX_PIN) = PIN_CNF_OUTPUT;
    GPIO(EDGEQ_CONSOLE_RX_PORT, GPIO_PIN_CNF + 4u * EDGEQ_CONSOLE_RX_PIN) = PIN_CNF_PULL_UP;
    UARTE(UARTE_PSEL_TXD) = PSEL(EDGEQ_CONSOLE_TX_PORT, EDGEQ_CONSOLE_TX_PIN);
    UARTE(UARTE_PSEL_RXD) = PSEL(EDGEQ_CONSOLE_RX_PORT, EDGEQ_CONSOLE_RX_PIN);
    UARTE(UARTE_BAUDRATE) = BAUDRATE(EDGEQ_CONSOLE_BAUD);
    UARTE(UARTE_ENABLE) = UARTE_ENABLE_ENABLED;
    UARTE(UARTE_TXD_PTR) = (uint32_t)(uintptr_t)&sent;
    UARTE(UARTE_TXD_MAXCNT) = 1;
    UARTE(UARTE_RXD_PTR) = (uint32_t)(uintptr_t)&arrived;
    UARTE(UARTE_RXD_MAXCNT) = 1;
    UARTE(UARTE_INTENSET) = UARTE_INT_ENDRX | UARTE_INT_ERROR;
    UARTE(UARTE_TASKS_STARTRX) = 1;
}

void Console_IRQHandler(void) {
    if (UARTE(UARTE_EVENTS_ERROR) != 0) { /* framing, break, overrun: the byte arrives all the same, or is lost */
        UARTE(UARTE_EVENTS_ERROR) = 0;
        UARTE(UARTE_ERRORSRC) = UARTE(UARTE_ERRORSRC);
    }
    if (UARTE(UARTE_EVENTS_ENDRX) != 0) {
        UARTE(UARTE_EVENTS_ENDRX) = 0;
        received(arrived);
        UARTE(UARTE_TASKS_STARTRX) = 1; /* up to four more have waited in the receiver's FIFO */
    }
    /* The write that clears an event is buffered: without this it may come after the return, and be interrupted again
     * for nothing (Product Specification, "Interrupt clearing"). */
    (void)UARTE(UARTE_EVENTS_ENDRX);
}

void board_put(uint8_t byte) {
    sent = byte;
    UARTE(UARTE_EVENTS_ENDTX) = 0;
    UARTE(UARTE_TASKS_STARTTX) = 1;
    while (UARTE(UARTE_EVENTS_ENDTX) == 0) {
    }
}

/* Every byte needs its own interrupt: faster ones would leave too little time for it. */
uint32_t board_max_baud(void) {
    return 460800u;
}

void board_set_baud(uint32_t baud) { /* board_put() returns when its byte has left */
    const uint32_t value = BAUDRATE(baud);
    if (value != 0) {
        UARTE(UARTE_BAUDRATE) = value;
    }
}
