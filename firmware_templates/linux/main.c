/* A model as a program: reads its inputs' bytes from standard input (or the file named first), writes its outputs'
 * bytes to standard output. As many inferences as there are whole inputs; each input is all of the model's input
 * tensors in order, as they are (int8 for an int8 model), and so is each output.
 *
 * The same model.c and kernels as on a microcontroller: cc -std=c11 -O2 -I. -o model with this file, model.c
 * and what is in kernels/. */
#include <stdint.h>
#include <stdio.h>

#include "model.h"

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

int main(int argc, char **argv) {
    FILE *stream = stdin;
    if (argc > 1) {
        stream = fopen(argv[1], "rb");
        if (stream == NULL) {
            perror(argv[1]);
            return 2;
        }
    }
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
