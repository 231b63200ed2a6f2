/* Collects what the runtime's formatting sends, for tests through ctypes. */
#include <stddef.h>
#include <stdint.h>

#include "runtime/board.h"

char captured[128];
size_t captured_length;

void board_put(uint8_t byte) {
    if (captured_length < sizeof captured) {
        captured[captured_length++] = (char)byte;
    }
}
