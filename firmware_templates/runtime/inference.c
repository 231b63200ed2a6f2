#include "runtime/inference.h"

#include <string.h>

#include "board/config.h"
#include "model.h"
#include "runtime/board.h"
#include "runtime/harness.h"

#if INPUT_FORM == INPUT_FLOAT
#define BUFFER_BYTES (4u * EDGEQ_INPUT_BYTES)
#else
#define BUFFER_BYTES EDGEQ_INPUT_BYTES
#endif

static uint8_t model_arena[MODEL_ARENA_BYTES] __attribute__((aligned(16), used, section(".bss.model_arena")));

uint8_t input_buffer[BUFFER_BYTES] __attribute__((aligned(4)));
const uint32_t input_buffer_bytes = BUFFER_BYTES;
uint32_t input_loaded_bytes;

static uint32_t layer_cycles[MODEL_LAYER_COUNT];
static uint32_t layer_started;

#if MODEL_STATE_BYTES > 0
static uint8_t state_is_set;

void inference_reset(void) {
    model_reset(model_arena);
    state_is_set = 1;
}
#endif

#if INPUT_FORM == INPUT_FLOAT
/* round(value / scale) + zero_point, half away from zero, within int8; the lowest for what isn't a number. */
static int8_t quantized(float value, const model_tensor_info *info) {
    const float steps = value / info->scale;
    if (!(steps > -512.0f)) {
        return -128;
    }
    const int32_t rounded = steps >= 512.0f ? 512 : (int32_t)(steps < 0.0f ? steps - 0.5f : steps + 0.5f);
    const int32_t shifted = rounded + info->zero_point;
    return (int8_t)(shifted < -128 ? -128 : shifted > 127 ? 127 : shifted);
}
#endif

static void load_input(void) {
#if MODEL_STATE_BYTES > 0
    if (!state_is_set) {
        inference_reset();
    }
#endif
    const uint8_t *from = input_buffer;
    for (unsigned i = 0; i < MODEL_INPUT_COUNT; ++i) {
#if INPUT_FORM == INPUT_STORED
        memcpy(model_input(model_arena, i), from, model_inputs[i].bytes);
        from += model_inputs[i].bytes;
#else
        int8_t *to = (int8_t *)model_input(model_arena, i);
        for (uint32_t k = 0; k < model_inputs[i].bytes; ++k) {
#if INPUT_FORM == INPUT_UNSIGNED
            to[k] = (int8_t)((int32_t)*from++ - 128);
#else
            float value;
            memcpy(&value, from, sizeof value);
            from += sizeof value;
            to[k] = quantized(value, &model_inputs[i]);
#endif
        }
#endif
    }
}

/* Called by the model between layers. A layer of more than 2^32 cycles (36 s at 120 MHz) wraps. */
void model_layer_done(unsigned layer);
void model_layer_done(unsigned layer) {
    const uint32_t now = board_cycles();
    layer_cycles[layer] = now - layer_started;
    layer_started = board_cycles(); /* so that this function is in no layer's figure */
}

#ifdef MODEL_PRECISION_COUNT
static const uint8_t precisions[MODEL_PRECISION_COUNT] = MODEL_PRECISIONS;
static uint32_t model_precision = 8;

int inference_set_precision(uint32_t bits) {
    for (unsigned i = 0; i < MODEL_PRECISION_COUNT; ++i) {
        if (precisions[i] == bits) {
            model_precision = bits;
            return 0;
        }
    }
    return -1;
}
#endif

uint64_t inference_run(void) {
    load_input();
    const uint32_t micros = board_micros();
    const uint32_t start = board_cycles();
    layer_started = start;
#ifdef MODEL_PRECISION_COUNT
    model_invoke_at(model_arena, model_precision);
#else
    model_invoke(model_arena);
#endif
    return board_cycles_since(start, micros);
}

uint32_t inference_layer_cycles(unsigned layer) {
    return layer_cycles[layer];
}

const uint8_t *inference_output(unsigned index, uint32_t *bytes) {
    if (index >= MODEL_OUTPUT_COUNT) {
        return NULL;
    }
    *bytes = model_outputs[index].bytes;
    return (const uint8_t *)model_output(model_arena, index);
}

uint32_t inference_result_count(void) {
    uint32_t count = 0;
    for (unsigned i = 0; i < MODEL_OUTPUT_COUNT; ++i) {
        count += model_outputs[i].elements;
    }
    return count;
}

/* Element `at` of a tensor of integers, as an integer. */
static int32_t integer_at(const uint8_t *data, uint32_t type, uint32_t at) {
    switch (type) {
    case 0:
        return ((const int8_t *)data)[at];
    case 1:
    case 5:
        return data[at];
    case 2: {
        int16_t value;
        memcpy(&value, data + 2u * at, sizeof value);
        return value;
    }
    case 6: {
        int64_t value;
        memcpy(&value, data + 8u * at, sizeof value);
        return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
    }
    default: {
        int32_t value;
        memcpy(&value, data + 4u * at, sizeof value);
        return value;
    }
    }
}

uint32_t inference_result_bits(uint32_t element) {
    unsigned output = 0;
    while (element >= model_outputs[output].elements) {
        element -= model_outputs[output++].elements;
    }
    const model_tensor_info *info = &model_outputs[output];
    const uint8_t *data = (const uint8_t *)model_output(model_arena, output);
    uint32_t bits;
    if (info->type == 4u) {
        memcpy(&bits, data + 4u * element, sizeof bits);
        return bits;
    }
    /* Unsigned arithmetic wraps where an int32 minus its zero point would overflow. An unquantized integer
     * tensor has scale 0: its values are reported as they are. */
    const uint32_t steps = (uint32_t)integer_at(data, info->type, element) - (uint32_t)info->zero_point;
    float value = (float)(int32_t)steps;
    if (info->scale != 0.0f) {
        value *= info->scale;
    }
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
