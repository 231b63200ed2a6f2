#define _POSIX_C_SOURCE 200809L /* clock_gettime, nanosleep: with -std=c11 too */

#include "profile.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "model.h"

enum { MOST_RUNS = 200000, MOST_SAMPLES = 400000, SAMPLE_NS = 5000000 };

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Where the hook writes; NULL while whole inferences are timed, so that these pay one comparison a layer. */
static int64_t *layer_end;

#ifdef MODEL_LAYER_HOOK
void model_layer_done(unsigned layer) {
    if (layer_end != NULL) {
        layer_end[layer] = now_ns();
    }
}
#endif

/* ---- sensors --------------------------------------------------------------------------------- */

typedef struct {
    const char *file;
    int64_t (*samples)[2]; /* time, value */
    size_t count;
    volatile bool stop;
    pthread_t thread;
} sensor;

/* One thread per sensor: a reading of an I2C sensor takes up to milliseconds, and waits in the kernel. */
static void *watch(void *argument) {
    sensor *s = argument;
    while (!s->stop && s->count < MOST_SAMPLES) {
        FILE *stream = fopen(s->file, "r");
        long long value = 0;
        if (stream != NULL) {
            const int64_t before = now_ns();
            if (fscanf(stream, "%lld", &value) == 1) {
                s->samples[s->count][0] = before + (now_ns() - before) / 2;
                s->samples[s->count++][1] = value;
            }
            fclose(stream);
        }
        const struct timespec pause = {.tv_sec = 0, .tv_nsec = SAMPLE_NS};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- the measurement ------------------------------------------------------------------------- */

/* Inputs share the arena with everything else, so each inference gets a fresh copy. */
static void load(uint8_t *arena, const uint8_t *input) {
    for (unsigned i = 0; i < MODEL_INPUT_COUNT; ++i) {
        memcpy(model_input(arena, i), input, model_inputs[i].bytes);
        input += model_inputs[i].bytes;
    }
}

static int64_t timed(uint8_t *arena, const uint8_t *input) {
    load(arena, input);
    const int64_t start = now_ns();
    model_invoke(arena);
    return now_ns() - start;
}

static int ascending(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median time of each layer; `times` has room for one row of layers a run, and one more. */
static void time_layers(uint8_t *arena, const uint8_t *input, long runs, int64_t *times, int64_t *medians) {
    int64_t *column = times + (size_t)runs * MODEL_LAYER_COUNT;
    for (long run = 0; run < runs; ++run) {
        layer_end = times + (size_t)run * MODEL_LAYER_COUNT;
        load(arena, input);
        int64_t before = now_ns();
        model_invoke(arena);
        for (unsigned layer = 0; layer < MODEL_LAYER_COUNT; ++layer) {
            const int64_t end = layer_end[layer];
            layer_end[layer] = end - before;
            before = end;
        }
    }
    layer_end = NULL;
    for (unsigned layer = 0; layer < MODEL_LAYER_COUNT; ++layer) {
        for (long run = 0; run < runs; ++run) {
            column[run] = times[(size_t)run * MODEL_LAYER_COUNT + layer];
        }
        qsort(column, (size_t)runs, sizeof *column, ascending);
        medians[layer] = column[runs / 2];
    }
}

static void write_list(FILE *out, const char *name, const int64_t *values, size_t count) {
    fprintf(out, "\"%s\": [", name);
    for (size_t i = 0; i < count; ++i) {
        fprintf(out, "%s%lld", i != 0 ? ", " : "", (long long)values[i]);
    }
    fprintf(out, "],\n");
}

static void write_sensors(FILE *out, const sensor *sensors, unsigned count) {
    fprintf(out, "\"sensors\": [");
    for (unsigned i = 0; i < count; ++i) {
        fprintf(out, "%s{\"file\": \"%s\", \"samples\": [", i != 0 ? ", " : "", sensors[i].file);
        for (size_t k = 0; k < sensors[i].count; ++k) {
            fprintf(out, "%s[%lld, %lld]", k != 0 ? ", " : "", (long long)sensors[i].samples[k][0],
                    (long long)sensors[i].samples[k][1]);
        }
        fprintf(out, "]}");
    }
    fprintf(out, "]}\n");
}

static void wait_seconds(long seconds) {
    const struct timespec pause = {.tv_sec = seconds, .tv_nsec = 0};
    nanosleep(&pause, NULL);
}

int profile_model(const profile_options *options, uint8_t *arena) {
    size_t input_bytes = 0;
    for (unsigned i = 0; i < MODEL_INPUT_COUNT; ++i) {
        input_bytes += model_inputs[i].bytes;
    }
#ifdef MODEL_LAYER_HOOK
    const long layer_runs = options->layer_runs;
#else
    const long layer_runs = 0; /* nothing would fill them */
#endif
    uint8_t *input = malloc(input_bytes + 1);
    int64_t *runs = malloc(MOST_RUNS * sizeof *runs);
    int64_t *times = malloc(((size_t)layer_runs * MODEL_LAYER_COUNT + (size_t)layer_runs + 1) * sizeof *times);
    int64_t medians[MODEL_LAYER_COUNT + 1];
    sensor sensors[PROFILE_SENSORS];
    memset(sensors, 0, sizeof sensors);
    FILE *out = fopen(options->report, "w");
    if (input == NULL || runs == NULL || times == NULL || out == NULL) {
        perror(out == NULL ? options->report : "memory");
        return 5;
    }
    uint8_t *to = input;
    for (unsigned i = 0; i < MODEL_INPUT_COUNT; ++i) {
        memcpy(to, model_input(arena, i), model_inputs[i].bytes);
        to += model_inputs[i].bytes;
    }
    unsigned started = 0;
    for (; started < options->sensors; ++started) {
        sensor *s = &sensors[started];
        s->file = options->sensor[started];
        s->samples = malloc(MOST_SAMPLES * sizeof *s->samples);
        if (s->samples == NULL || pthread_create(&s->thread, NULL, watch, s) != 0) {
            perror(s->file);
            return 5;
        }
    }
    const int64_t idle_start = now_ns();
    wait_seconds(options->idle_seconds);
    const int64_t idle_end = now_ns();
    for (long i = 0; i < options->warmup; ++i) {
        (void)timed(arena, input);
    }
    size_t count = 0;
    const int64_t start = now_ns(), until = start + (int64_t)options->seconds * 1000000000;
    while (count < (size_t)options->runs || now_ns() < until) {
        const int64_t took = timed(arena, input);
        if (count < MOST_RUNS) {
            runs[count] = took;
        }
        ++count;
    }
    const int64_t end = now_ns();
    if (layer_runs > 0) {
        time_layers(arena, input, layer_runs, times, medians);
    }
    for (unsigned i = 0; i < started; ++i) {
        sensors[i].stop = true;
        pthread_join(sensors[i].thread, NULL);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(out, "{\"model_sha256\": \"%s\",\n", MODEL_SHA256);
    fprintf(out, "\"inferences\": %zu,\n", count);
    write_list(out, "run_ns", runs, count < MOST_RUNS ? count : MOST_RUNS);
    write_list(out, "layer_ns", medians, layer_runs > 0 ? MODEL_LAYER_COUNT : 0);
    if (options->idle_seconds > 0) {
        write_list(out, "idle_ns", (const int64_t[]){idle_start, idle_end}, 2);
    }
    write_list(out, "window_ns", (const int64_t[]){start, end}, 2);
    fprintf(out, "\"max_rss_bytes\": %lld,\n", (long long)usage.ru_maxrss * 1024);
    write_sensors(out, sensors, started);
    if (fclose(out) != 0) {
        perror(options->report);
        return 5;
    }
    return 0;
}
