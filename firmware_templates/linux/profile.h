/* Time a model on a computer, and sample power sensors meanwhile. */
#ifndef EDGEQ_LINUX_PROFILE_H
#define EDGEQ_LINUX_PROFILE_H

#include <stdint.h>

enum { PROFILE_SENSORS = 4 };

/* report: the file to write. warmup: inferences before, not timed. Timed are `runs` inferences or as many as fill
 * `seconds`, whichever is more; then `layer_runs` with a clock reading after each layer, which are not part of the
 * former. sensor: files that hold one whole number each (hwmon's power1_input: µW), read every 5 ms from
 * `idle_seconds` before the first timed inference until after the last. */
typedef struct {
    const char *report;
    long warmup, runs, seconds, layer_runs, idle_seconds;
    unsigned sensors;
    const char *sensor[PROFILE_SENSORS];
} profile_options;

/* The report is one JSON object, times in nanoseconds of CLOCK_MONOTONIC:
 *   model_sha256   of the .tflite that the program was made from
 *   inferences     how many were timed, in window_ns
 *   run_ns         each of them; of the first 200,000
 *   layer_ns       for each layer, the median over layer_runs
 *   idle_ns        [start, end] before the inferences; absent without idle_seconds
 *   window_ns      [start, end] around the timed inferences
 *   max_rss_bytes  the most memory that the process ever had resident
 *   sensors        [{"file": …, "samples": [[t, value], …]}, …]
 *
 * The arena holds the input. Returns an exit code of main's. */
int profile_model(const profile_options *options, uint8_t *arena);

#endif
