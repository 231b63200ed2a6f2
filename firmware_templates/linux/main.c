/* A model as a program for Linux, Android and the like.
 *
 *     model [INPUT]                                           run it
 *     model --profile REPORT [options] INPUT                  run it, then time it
 *
 * Reads its inputs' bytes from INPUT (standard input without one), writes its outputs' bytes to standard output. As
 * many inferences as there are whole inputs; each input is all of the model's input tensors in order, as they are
 * (int8 for an int8 model), and so is each output.
 *
 * With --profile, inferences of the first input are then timed and REPORT is written: see profile.h.
 *
 * The same model.c and kernels as on a microcontroller: cc -std=gnu11 -O2 -I. -pthread -o model with the files
 * of this folder, model.c and what is in kernels/. Exit codes: 0; 2 wrong use; 3 an input that ends in the middle;
 * 5 a file that can't be read or written. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "profile.h"

static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16)));

/* Fill all inputs from the stream. 1: done; 0: the stream has ended; -1: it ended in the middle of an input. */
static int read_inputs(FILE *stream) {
    size_t before = 0;
    for (unsigned i = 0; i < MODEL_INPUT_COUNT; ++i) {
        const size_t got = fread(model_input(arena, i), 1, model_inputs[i].bytes, stream);
        before += got;
        if (got != model_inputs[i].bytes) {
            return before == 0 ? 0 : -1;
        }
    }
    return 1;
}

static int write_outputs(FILE *stream) {
    for (unsigned i = 0; i < MODEL_OUTPUT_COUNT; ++i) {
        if (fwrite(model_output(arena, i), 1, model_outputs[i].bytes, stream) != model_outputs[i].bytes) {
            return 0;
        }
    }
    return 1;
}

/* Every input of the stream through the model. Returns an exit code. */
static int run_all(FILE *stream) {
    for (;;) {
        const int state = read_inputs(stream);
        if (state < 0) {
            fprintf(stderr, "%s: the input ends in the middle of an inference's bytes\n", MODEL_NAME);
            return 3;
        }
        if (state == 0) {
            return ferror(stream) ? 5 : fflush(stdout) == 0 ? 0 : 5;
        }
        model_invoke(arena);
        if (!write_outputs(stdout)) {
            perror("standard output");
            return 5;
        }
    }
}

static int wrong_use(const char *what) {
    fprintf(stderr, "%s: what is '%s'? model [--profile REPORT [--warmup N] [--runs N] [--seconds S] [--layer-runs N] "
                    "[--idle-seconds S] [--sensor FILE]... ] [INPUT]\n", MODEL_NAME, what);
    return 2;
}

/* A number after an option, whole and not negative; -1 for anything else. */
static long number(const char *text) {
    char *end = NULL;
    const long value = text != NULL ? strtol(text, &end, 10) : -1;
    return text != NULL && end != text && *end == '\0' && value >= 0 ? value : -1;
}

int main(int argc, char **argv) {
    profile_options options = {.report = NULL, .warmup = 10, .runs = 50, .layer_runs = 10};
    const struct {
        const char *name;
        long *value;
    } numbers[] = {{"--warmup", &options.warmup}, {"--runs", &options.runs}, {"--seconds", &options.seconds},
                   {"--layer-runs", &options.layer_runs}, {"--idle-seconds", &options.idle_seconds}};
    const char *input = NULL;
    for (int i = 1; i < argc; ++i) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        size_t found = 0;
        while (found < sizeof numbers / sizeof numbers[0] && strcmp(argv[i], numbers[found].name) != 0) {
            ++found;
        }
        if (found < sizeof numbers / sizeof numbers[0]) {
            *numbers[found].value = number(value);
            if (*numbers[found].value < 0) {
                return wrong_use(argv[i]);
            }
            ++i;
        } else if (strcmp(argv[i], "--profile") == 0 && value != NULL) {
            options.report = value;
            ++i;
        } else if (strcmp(argv[i], "--sensor") == 0 && value != NULL && options.sensors < PROFILE_SENSORS) {
            options.sensor[options.sensors++] = value;
            ++i;
        } else if (input == NULL && strncmp(argv[i], "--", 2) != 0) {
            input = argv[i];
        } else {
            return wrong_use(argv[i]);
        }
    }
    if (options.report != NULL && input == NULL) {
        return wrong_use("--profile without an INPUT file");
    }
    FILE *stream = input == NULL ? stdin : fopen(input, "rb");
    if (stream == NULL) {
        perror(input);
        return 2;
    }
    model_reset(arena);
    const int code = run_all(stream);
    if (code != 0 || options.report == NULL) {
        return code;
    }
    rewind(stream);
    if (read_inputs(stream) != 1) {
        fprintf(stderr, "%s: there is no whole input to time\n", MODEL_NAME);
        return 3;
    }
    return profile_model(&options, arena);
}
