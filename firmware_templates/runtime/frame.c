#include "runtime/frame.h"

#include "runtime/board.h"
#include "runtime/checksum.h"
#include "runtime/format.h"
#include "runtime/inference.h"

#define CLOSE '%'
#define ESCAPE '}'
#define FLIP 0x20u
#define SILENCE_MICROS 250000u

static int open;
static int escaped;
static uint32_t first;
static uint32_t expected;
static uint32_t received; /* may count beyond `expected`; those bytes are dropped */
static uint32_t wanted_crc;
static uint32_t running;
static uint32_t heard; /* when the last byte came */

static void add_word(uint32_t value) {
    for (unsigned shift = 0; shift < 32u; shift += 8u) {
        running = checksum_add(running, (uint8_t)(value >> shift));
    }
}

int frame_begin(uint32_t offset, uint32_t count, uint32_t crc) {
    if (count == 0 || count > input_buffer_bytes || offset > input_buffer_bytes - count) {
        return 0;
    }
    open = 1;
    escaped = 0;
    first = offset;
    expected = count;
    received = 0;
    wanted_crc = crc;
    running = CHECKSUM_START;
    add_word(offset);
    add_word(count);
    heard = board_micros();
    return 1;
}

int frame_open(void) {
    if (open && board_micros() - heard > SILENCE_MICROS) {
        open = 0;
    }
    return open;
}

static void close_frame(void) {
    open = 0;
    if (received != expected) {
        put_text("e-[Frame of ");
        put_decimal(received);
        put_text(" bytes instead of ");
        put_decimal(expected);
        put_line("]");
    } else if (checksum_end(running) != wanted_crc) {
        put_line("e-[Frame with another CRC]");
    } else {
        input_loaded_bytes = first + expected;
        put_text("m-edgeq-put-[");
        put_decimal(first);
        put_byte(',');
        put_decimal(expected);
        put_line("]");
    }
}

int frame_byte(uint8_t byte) {
    heard = board_micros();
    if (byte == CLOSE) {
        close_frame();
        return 1;
    }
    if (byte == ESCAPE && !escaped) {
        escaped = 1;
        return 0;
    }
    if (escaped) {
        byte ^= FLIP;
        escaped = 0;
    }
    if (received < expected) {
        input_buffer[first + received] = byte;
        running = checksum_add(running, byte);
    }
    ++received;
    return 0;
}
