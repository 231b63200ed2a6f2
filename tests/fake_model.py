"""A hand-written "network" with the model.h that generated code has: y[i] = clamp(x[i] + w[i]), in two layers."""

from __future__ import annotations

import hashlib

from edgeq.codegen.project import firmware_files
from edgeq.codegen.tree import Layer, Manifest, SourceTree, TensorInfo
from edgeq.target import Target

ELEMENTS = 12
SHA256 = hashlib.sha256(b"fake").hexdigest()
WEIGHTS = tuple((7 * i) % 11 - 5 for i in range(ELEMENTS))
BUILD = "0123456789abcdef"
SCALE, ZERO_POINT = 0.00390625, -128

MODEL_H = """\
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>
#define MODEL_NAME "fake"
#define MODEL_SHA256 "@SHA@"
#define MODEL_ARENA_BYTES @ARENA@u
#define MODEL_LAYER_COUNT 2u
#define MODEL_INPUT_COUNT 1u
#define MODEL_OUTPUT_COUNT 1u
#define MODEL_INPUT_0_BYTES @N@u
#define MODEL_OUTPUT_0_BYTES @N@u
typedef struct {
    const char *name;
    uint32_t bytes;
    uint32_t elements;
    uint32_t type;
    float scale;
    int32_t zero_point;
} model_tensor_info;
extern const model_tensor_info model_inputs[MODEL_INPUT_COUNT], model_outputs[MODEL_OUTPUT_COUNT];
int8_t *model_input(uint8_t *arena, unsigned i);
const int8_t *model_output(const uint8_t *arena, unsigned i);
void model_reset(uint8_t *arena);
void model_invoke(uint8_t *arena);
#ifdef MODEL_LAYER_HOOK
void model_layer_done(unsigned layer);
#endif
#endif
"""

MODEL_C = """\
#include "model.h"

#include <string.h>

const model_tensor_info model_inputs[MODEL_INPUT_COUNT] = {{"x", @N@u, @N@u, 0u, 0.5f, 3}};
const model_tensor_info model_outputs[MODEL_OUTPUT_COUNT] = {{"y", @N@u, @N@u, 0u, @SCALE@f, @ZERO@}};

extern const int8_t weights[];
__attribute__((section(".model_weights"), aligned(16))) const int8_t weights[] = {@WEIGHTS@};

int8_t *model_input(uint8_t *arena, unsigned i) {
    (void)i;
    return (int8_t *)arena;
}

const int8_t *model_output(const uint8_t *arena, unsigned i) {
    (void)i;
    return (const int8_t *)arena + @OFFSET@;
}

void model_reset(uint8_t *arena) { (void)arena; }

void model_invoke(uint8_t *arena) {
    int8_t *x = (int8_t *)arena;
    for (int i = 0; i < @N@; ++i) {
        int sum = x[i] + ((const volatile int8_t *)weights)[i];
        x[i] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum); /* in place: the input is gone */
    }
#ifdef MODEL_LAYER_HOOK
    model_layer_done(0);
#endif
    memmove(x + @OFFSET@, x, @N@);
#ifdef MODEL_LAYER_HOOK
    model_layer_done(1);
#endif
}
"""


def weights_of(elements: int) -> tuple[int, ...]:
    """What the model with so many elements adds."""
    return tuple((7 * i) % 11 - 5 for i in range(elements))


def _fill(text: str, arena_bytes: int, weights: tuple[int, ...]) -> bytes:
    values = {
        "SHA": SHA256,
        "ARENA": str(arena_bytes),
        "N": str(len(weights)),
        "OFFSET": str(-(-len(weights) // 16) * 16),
        "SCALE": repr(SCALE),
        "ZERO": str(ZERO_POINT),
        "WEIGHTS": ", ".join(map(str, weights)),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


def fake_manifest(target: Target, arena_bytes: int = 32, elements: int = ELEMENTS) -> Manifest:
    """What belongs to the fake model."""
    x = TensorInfo("x", "INT8", (1, elements), elements, 0.5, 3)
    y = TensorInfo("y", "INT8", (1, elements), elements, SCALE, ZERO_POINT)
    layers = (Layer(0, "ADD", "sum", "add", 0, elements), Layer(1, "RESHAPE", "y", "copy", 0, 0))
    return Manifest(
        "fake", SHA256, 4, target.name, target.clock_hz, arena_bytes, elements, 0, (x,), (y,), layers, BUILD
    )


def fake_tree(
    target: Target, arena_bytes: int = 32, weights: tuple[int, ...] = WEIGHTS, stack_bytes: int = 2048
) -> SourceTree:
    """The fake model in its firmware project; its arena holds input and output, each rounded up to 16 bytes."""
    manifest = fake_manifest(target, arena_bytes, len(weights))
    files = firmware_files(target, manifest, stack_bytes)
    files["model.h"] = _fill(MODEL_H, arena_bytes, weights)
    files["model.c"] = _fill(MODEL_C, arena_bytes, weights)
    return SourceTree(files, manifest)
