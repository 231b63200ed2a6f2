/* The model, its arena, the loaded input, and what is measured while it runs. */
#ifndef EDGEQ_RUNTIME_INFERENCE_H
#define EDGEQ_RUNTIME_INFERENCE_H

#include <stddef.h>
#include <stdint.h>

/* The input as it came over the wire: all inputs' bytes, in order. It is not part of the arena because an
 * inference may overwrite its input's place there (in-place planning); each inference starts from this. */
extern uint8_t input_buffer[];
extern const uint32_t input_buffer_bytes;
extern uint32_t input_loaded_bytes; /* of them, what the last load has filled */

/* Copy the input into the arena and run all layers once.
 * Returns the cycles of the layers alone: the copy is not counted. */
uint64_t inference_run(void);

/* Bits of the weights that inferences use from now on, of a model that has several precisions (MODEL_PRECISIONS).
 * Returns 0, or -1 where there is no such precision. */
int inference_set_precision(uint32_t bits);

/* Forget what the model keeps from one inference to the next, where it keeps something (MODEL_STATE_BYTES). */
void inference_reset(void);

/* Cycles of one layer in the last inference. */
uint32_t inference_layer_cycles(unsigned layer);

/* Bytes of output `index`, and their number. NULL where there is no such output. */
const uint8_t *inference_output(unsigned index, uint32_t *bytes);

/* Elements of all outputs together, and the bits of one of them as a single, dequantized:
 * scale * (q - zero_point), computed in single precision. Outputs count on from one another. */
uint32_t inference_result_count(void);
uint32_t inference_result_bits(uint32_t element);

#endif
