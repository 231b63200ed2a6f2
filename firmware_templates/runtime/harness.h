/* What the other side of the wire calls this model, and what it sends as its input: a file of its own, because
 * `edgeq build --mlperf` writes another one.
 *
 * INPUT_STORED    the bytes that the model's inputs hold
 * INPUT_UNSIGNED  int8 inputs as unsigned bytes, 128 more than they are: the official MLPerf Tiny runner's pixels
 * INPUT_FLOAT     int8 inputs as single-precision floats, to be quantized here: that runner's anomaly detection */
#ifndef EDGEQ_RUNTIME_HARNESS_H
#define EDGEQ_RUNTIME_HARNESS_H

#define INPUT_STORED   0
#define INPUT_UNSIGNED 1
#define INPUT_FLOAT    2

#define HARNESS_NAME MODEL_NAME
#define INPUT_FORM INPUT_STORED

#endif
