#include "runtime/edgeq.h"

#include <stddef.h>
#include <stdint.h>

#include "board/build.h"
#include "board/config.h"
#include "model.h"
#include "runtime/board.h"
#include "runtime/checksum.h"
#include "runtime/format.h"
#include "runtime/frame.h"
#include "runtime/harness.h"
#include "runtime/inference.h"
#include "runtime/speed.h"

#define KEPT_RUNS 16u      /* `run` reports at most so many of its inferences: the last ones */
#define FIGURES_PER_LINE 8u
#define OUT_BYTES 64u      /* `out` prints at most so many bytes */

static uint64_t run_cycles[KEPT_RUNS];

/* All of edgeq's lines begin alike. */
static void begin(const char *name) {
    put_text("m-edgeq-");
    put_text(name);
}

static void text_field(const char *name, const char *value) {
    begin(name);
    put_text_field("", value);
}

static void decimal_field(const char *name, uint32_t value) {
    begin(name);
    put_decimal_field("", value);
}

static void sizes(const char *name, const model_tensor_info *tensors, unsigned count) {
    begin(name);
    for (unsigned i = 0; i < count; ++i) {
        put_text(i == 0 ? "-[" : ",");
        put_decimal(tensors[i].bytes);
    }
    put_line("]");
}

static void info(void) {
    text_field("model", MODEL_NAME);
    text_field("sha256", MODEL_SHA256);
    text_field("target", EDGEQ_TARGET);
    decimal_field("clock-hz", EDGEQ_CLOCK_HZ);
    decimal_field("arena", MODEL_ARENA_BYTES);
    sizes("inputs", model_inputs, MODEL_INPUT_COUNT);
    sizes("outputs", model_outputs, MODEL_OUTPUT_COUNT);
    decimal_field("layers", MODEL_LAYER_COUNT);
    decimal_field("stack", board_stack_reserved());
    text_field("build", EDGEQ_BUILD);
    decimal_field("max-baud", speed_max());
    text_field("input-form", INPUT_FORM == INPUT_STORED ? "stored" : INPUT_FORM == INPUT_UNSIGNED ? "unsigned" : "float");
}

/* Inferences on the loaded input, no warm-up; the last KEPT_RUNS of them are reported, oldest first. */
static void run(words *line) {
    uint32_t count;
    if (!parse_decimal(next_word(line), &count) || count == 0) {
        put_line("e-[Inference iterations must be >0]");
        return;
    }
    for (uint32_t i = 0; i < count; ++i) {
        run_cycles[i % KEPT_RUNS] = inference_run();
    }
    const uint32_t kept = count < KEPT_RUNS ? count : KEPT_RUNS;
    for (uint32_t i = 0; i < kept; ++i) {
        if (i % FIGURES_PER_LINE == 0) {
            begin("cycles-[");
        } else {
            put_byte(',');
        }
        put_decimal(run_cycles[(count - kept + i) % KEPT_RUNS]);
        if (i % FIGURES_PER_LINE == FIGURES_PER_LINE - 1u || i == kept - 1u) {
            put_line("]");
        }
    }
}

#ifdef MODEL_PRECISION_COUNT
static void precision(words *line) {
    uint32_t bits;
    if (!parse_decimal(next_word(line), &bits) || inference_set_precision(bits) != 0) {
        put_line("e-[No such precision]");
        return;
    }
    decimal_field("precision", bits);
}
#endif

#if MODEL_STATE_BYTES > 0
/* What the model keeps from one inference to the next is as before the first. */
static void reset(void) {
    inference_reset();
    decimal_field("reset", MODEL_STATE_BYTES);
}
#endif

static void layers(void) {
    for (unsigned i = 0; i < MODEL_LAYER_COUNT; ++i) {
        if (i % FIGURES_PER_LINE == 0) {
            begin("layer-[");
            put_decimal(i);
        }
        put_byte(',');
        put_decimal(inference_layer_cycles(i));
        if (i % FIGURES_PER_LINE == FIGURES_PER_LINE - 1u || i == MODEL_LAYER_COUNT - 1u) {
            put_line("]");
        }
    }
}

static void out(words *line) {
    uint32_t index, offset, bytes = 0;
    if (!parse_decimal(next_word(line), &index) || !parse_decimal(next_word(line), &offset)) {
        put_line("e-[Command 'edgeq out' requires an output and an offset]");
        return;
    }
    const uint8_t *data = inference_output(index, &bytes);
    if (data == NULL || offset >= bytes) {
        put_line("e-[No such output bytes]");
        return;
    }
    begin("out-[");
    for (uint32_t i = offset; i < bytes && i - offset < OUT_BYTES; ++i) {
        put_hex_byte(data[i]);
    }
    put_line("]");
}

/* The bytes that follow, up to the next '%', are for the input buffer: runtime/frame.h. */
static void put(words *line) {
    uint32_t offset, count, crc;
    if (!parse_decimal(next_word(line), &offset) || !parse_decimal(next_word(line), &count) ||
        !parse_hex_word(next_word(line), &crc)) {
        put_line("e-[Command 'edgeq put' requires an offset, a count and a CRC]");
    } else if (!frame_begin(offset, count, crc)) {
        put_line("e-[No such input bytes]");
    }
}

/* The CRC-32 of the first bytes of the input buffer. */
static void check(words *line) {
    uint32_t count;
    if (!parse_decimal(next_word(line), &count) || count > input_buffer_bytes) {
        put_line("e-[No such input bytes]");
        return;
    }
    uint32_t crc = CHECKSUM_START;
    for (uint32_t i = 0; i < count; ++i) {
        crc = checksum_add(crc, input_buffer[i]);
    }
    begin("check-[");
    put_decimal(count);
    put_byte(',');
    put_hex_word(checksum_end(crc));
    put_line("]");
}

static void baud(words *line) {
    uint32_t wanted;
    if (!parse_decimal(next_word(line), &wanted) || !speed_request(wanted)) {
        put_line("e-[No such speed]");
        return;
    }
    decimal_field("baud", wanted);
}

/* Cut a last word `#TAG` off a command line; NULL where there is none. */
static const char *cut_tag(words *line) {
    for (char *at = line->rest; *at != '\0'; ++at) {
        if (*at == '#') {
            *at = '\0';
            return at + 1;
        }
    }
    return NULL;
}

static void carry_out(words *line);

/* An answer to a command with a tag ends with `m-edgeq-sum-[TAG,CRC]`. The CRC is that of the command and of the
 * lines before, line ends included, so that a host can tell an answer that was damaged on the way, an answer to a
 * command that was damaged on the way, and (by the tag) an answer to an earlier command. */
void edgeq_command(words *line) {
    const char *tag = cut_tag(line);
    carry_out(line);
    if (tag != NULL) {
        const uint32_t sum = sum_end();
        begin("sum-[");
        put_text(tag);
        put_byte(',');
        put_hex_word(sum);
        put_line("]");
    }
}

static void carry_out(words *line) {
    const char *verb = next_word(line);
    if (same_word(verb, "info")) {
        info();
    } else if (same_word(verb, "run")) {
        run(line);
#ifdef MODEL_PRECISION_COUNT
    } else if (same_word(verb, "precision")) {
        precision(line);
#endif
#if MODEL_STATE_BYTES > 0
    } else if (same_word(verb, "reset")) {
        reset();
#endif
    } else if (same_word(verb, "layers")) {
        layers();
    } else if (same_word(verb, "out")) {
        out(line);
    } else if (same_word(verb, "stack")) {
        decimal_field("stack-used", board_stack_used());
    } else if (same_word(verb, "put")) {
        put(line);
    } else if (same_word(verb, "check")) {
        check(line);
    } else if (same_word(verb, "baud")) {
        baud(line);
    } else {
        put_line("e-[Unknown edgeq verb]");
    }
}
