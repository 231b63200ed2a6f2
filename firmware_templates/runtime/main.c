/* The firmware: a board that answers the wire protocol. */
#include "runtime/board.h"
#include "runtime/protocol.h"

int main(void) {
    board_init();
    protocol_start();
    for (;;) {
        const int byte = board_get();
        if (byte < 0) {
            board_idle();
        } else {
            protocol_byte((char)byte);
        }
    }
}
