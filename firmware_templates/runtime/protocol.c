#include "runtime/protocol.h"

#include <stddef.h>
#include <stdint.h>

#include "board/config.h"
#include "model.h"
#include "runtime/board.h"
#include "runtime/edgeq.h"
#include "runtime/format.h"
#include "runtime/frame.h"
#include "runtime/harness.h"
#include "runtime/inference.h"
#include "runtime/speed.h"
#include "runtime/words.h"

/* MLPerf Tiny, benchmark/api/internally_implemented.h: EE_CMD_SIZE, EE_FW_VERSION, EE_CMD_TERMINATOR. */
#define COMMAND_CHARACTERS 80u
#define FIRMWARE_VERSION "ULPMark for tinyML Firmware V0.0.1"
#define DEFAULT_WARMUP 10u
#define PRINT_BYTES_PER_LINE 8u
#define MARK_MICROSECONDS 100u

static char command[COMMAND_CHARACTERS + 1u];
static uint32_t command_length; /* COMMAND_CHARACTERS + 1: too long, and the rest is ignored */

static uint32_t load_expected; /* bytes announced by `db load`, 0 when no load is under way */
static uint32_t load_received;

static void timestamp(void) {
    put_text("m-lap-us-");
    put_decimal(board_micros());
    put_line("");
}

static void results(void) {
    const uint32_t count = inference_result_count();
    put_text("m-results-[");
    for (uint32_t i = 0; i < count; ++i) {
        if (i > 0) {
            put_byte(',');
        }
        put_fixed3(inference_result_bits(i));
    }
    put_line("]");
}

/* A pulse for energy meters: the falling edge counts, as in the API's energy mode. Slow ones look at their inputs every
 * 10 µs. */
static void mark(void) {
    const uint32_t start = board_micros();
    board_pin(0);
    while (board_micros() - start < MARK_MICROSECONDS) {
    }
    board_pin(1);
}

/* infer [N [W]]: W inferences to warm up, then N between two timestamps. Each starts from the loaded input, and
 * that copy is inside the timed window, as loading is left to the implementer by the API. The pulses lie around the
 * timestamps, so that they are in no figure. */
static void infer(words *line) {
    uint32_t count = 1;
    uint32_t warmup = DEFAULT_WARMUP;
    const char *word = next_word(line);
    if (*word != '\0') {
        if (!parse_decimal(word, &count) || count == 0) {
            put_line("e-[Inference iterations must be >0]");
            return;
        }
        word = next_word(line);
        if (*word != '\0' && !parse_decimal(word, &warmup)) {
            put_line("e-[Inference warmup must be >=0]");
            return;
        }
    }
    put_text("m-warmup-start-");
    put_decimal(warmup);
    put_line("");
    while (warmup-- > 0) {
        inference_run();
    }
    put_line("m-warmup-done");
    put_text("m-infer-start-");
    put_decimal(count);
    put_line("");
    mark();
    timestamp();
    while (count-- > 0) {
        inference_run();
    }
    timestamp();
    mark();
    put_line("m-infer-done");
    results();
}

static void buffer_load(words *line) {
    const char *word = next_word(line);
    uint32_t bytes;
    if (*word == '\0') {
        put_line("e-[Command 'db load' requires the # of bytes]");
    } else if (!parse_decimal(word, &bytes) || bytes == 0) {
        put_line("e-[Command 'db load' must be >0 bytes]");
    } else if (bytes > input_buffer_bytes) {
        put_text("e-[Supplied buffer size ");
        put_decimal(bytes);
        put_text(" exceeds maximum of ");
        put_decimal(input_buffer_bytes);
        put_line("]");
    } else {
        load_expected = bytes;
        load_received = 0;
        put_text("m-[Expecting ");
        put_decimal(bytes);
        put_line(" bytes]");
    }
}

static void buffer_print(void) {
    for (uint32_t i = 0; i < input_loaded_bytes; ++i) {
        put_text(i % PRINT_BYTES_PER_LINE == 0 ? "m-buffer-" : "-");
        put_hex_byte(input_buffer[i]);
        if (i % PRINT_BYTES_PER_LINE == PRINT_BYTES_PER_LINE - 1u || i == input_loaded_bytes - 1u) {
            put_line("");
        }
    }
}

static void buffer_bytes(const char *digits) {
    if (load_expected == 0) {
        put_line("e-[Command 'db' needs a 'db load' before data]");
        return;
    }
    uint32_t length = 0;
    for (; digits[length] != '\0'; ++length) {
        if (hex_digit(digits[length]) < 0) {
            put_text("e-[Invalid hex digit '");
            put_byte((uint8_t)digits[length]);
            put_line("']");
            return;
        }
    }
    if (length % 2u != 0) {
        put_line("e-[Insufficient number of hex digits]");
        return;
    }
    for (uint32_t i = 0; i < length; i += 2u) {
        input_buffer[load_received++] = (uint8_t)(hex_digit(digits[i]) << 4 | hex_digit(digits[i + 1u]));
        if (load_received == load_expected) { /* the API disregards digits beyond */
            input_loaded_bytes = load_expected;
            load_expected = 0;
            put_line("m-load-done");
            return;
        }
    }
}

static void buffer(words *line) {
    const char *word = next_word(line);
    if (*word == '\0') {
        put_line("e-[Command 'db' requires a subcommand]");
    } else if (same_word(word, "load")) {
        buffer_load(line);
    } else if (same_word(word, "print")) {
        buffer_print();
    } else {
        buffer_bytes(word);
    }
}

static void help(void) {
    put_line(FIRMWARE_VERSION);
    put_line("\r\nname, timestamp, profile, results, help\r\n"
             "db load N; db HH[HH]*; db print\r\n"
             "infer N [W=10]\r\n"
             "edgeq info; run N; layers; out I OFFSET; stack\r\n"
             "edgeq put OFFSET COUNT CRC; check COUNT; baud N");
}

static void profile(void) {
    put_text_field("m-profile", FIRMWARE_VERSION);
    put_text_field("m-model", HARNESS_NAME);
}

/* 0 where there is no such command. */
static int carry_out(words *line) {
    const char *word = next_word(line);
    if (same_word(word, "name")) {
        put_text_field("m-name-dut", EDGEQ_VENDOR);
    } else if (same_word(word, "timestamp")) {
        timestamp();
    } else if (same_word(word, "profile")) {
        profile();
    } else if (same_word(word, "help")) {
        help();
    } else if (same_word(word, "db")) {
        buffer(line);
    } else if (same_word(word, "infer")) {
        infer(line);
    } else if (same_word(word, "results")) {
        results();
    } else if (same_word(word, "edgeq")) {
        edgeq_command(line);
    } else {
        put_text("e-[Unknown command: ");
        put_text(word);
        put_line("]");
        return 0;
    }
    return 1;
}

static void command_done(void) {
    if (command_length > COMMAND_CHARACTERS) {
        put_line("e-[Command too long]");
        speed_noise();
        return;
    }
    command[command_length] = '\0';
    sum_start(command, command_length);
    words line = {command};
    if (carry_out(&line)) {
        speed_good();
    } else if (command_length > 0) { /* hosts send a '%' by itself to get in step */
        speed_noise();
    }
}

void protocol_byte(char byte) {
    if (frame_open()) {
        if (frame_byte((uint8_t)byte)) {
            put_line("m-ready");
        }
    } else if (byte == '%') {
        command_done();
        command_length = 0;
        put_line("m-ready");
        speed_apply();
    } else if (byte < ' ' || byte > '~') {
        /* In no command: line ends, which terminal programs send too, and noise. */
        if (byte != '\r' && byte != '\n') {
            speed_noise();
        }
    } else if (command_length >= COMMAND_CHARACTERS) {
        command_length = COMMAND_CHARACTERS + 1u;
    } else {
        command[command_length++] = byte;
    }
}

void protocol_start(void) {
    board_pin(1);
    put_line("m-timestamp-mode-performance");
    timestamp();
    put_line("m-init-done");
    put_line("m-ready");
}
