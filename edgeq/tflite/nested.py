"""How a file with several precisions says so.

A nested file is an ordinary int8 `.tflite`, which any runtime runs at eight bits. Two metadata entries say which
layers have lower precisions, and with which scales and biases: `edgeq.nested`, JSON, and `edgeq.nested.data`, the
numbers that it counts. docs/nested.md has the format.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.errors import ModelFileError
from edgeq.graph import BITS, DType, Graph, Level, Nested, NestedLayer
from edgeq.tflite.objects import constant_buffer, pack, unpack

METADATA = b"edgeq.nested"
METADATA_DATA = b"edgeq.nested.data"
_VERSION = 1


def attach(data: bytes, nested: Nested) -> bytes:
    """The file with these metadata in place of any that it has."""
    head = {
        "version": _VERSION,
        "precisions": list(nested.precisions),
        "layers": [
            {"weights": layer.weights, "bias": layer.bias, "channels": int(_first(layer).bias.size)}
            for layer in nested.layers
        ],
    }
    numbers = b"".join(
        level.scale.astype("<f4").tobytes() + level.bias.astype("<i4").tobytes()
        for layer in nested.layers
        for _, level in sorted(layer.levels.items(), reverse=True)
    )
    model = unpack(data)
    kept = [m for m in model.metadata or [] if entry_name(m.name) not in (METADATA, METADATA_DATA)]
    for name, content in ((METADATA, json.dumps(head).encode()), (METADATA_DATA, numbers)):
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.decode(), constant_buffer(model, np.frombuffer(content, np.uint8))
        kept.append(entry)
    model.metadata = kept
    return pack(model)


def _first(layer: NestedLayer) -> Level:
    return next(iter(layer.levels.values()))


def entry_name(name: Any) -> bytes:
    """A metadata entry's name, which the schema's objects have as text or as bytes."""
    return name if isinstance(name, bytes) else str(name or "").encode()


# What flatbuffers, json and numpy raise on bytes that were changed.
_DAMAGE = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError, struct.error,
    AssertionError, MemoryError,
)  # fmt: skip


def read_nested(data: bytes, graph: Graph) -> Nested | None:
    """The nested precisions of a file; None where it has none.

    Args:
        graph: what `parse` read from `data`.

    Raises:
        ModelFileError: metadata that don't fit the model.
    """
    try:
        found = dict(_metadata(data))
        if METADATA not in found:
            return None
        return _decoded(json.loads(found[METADATA]), found.get(METADATA_DATA, b""), graph)
    except _DAMAGE as broken:
        raise ModelFileError(
            f"its metadata '{METADATA.decode()}' are damaged ({type(broken).__name__}: {broken})",
            where=graph.source or graph.name,
            next_step="convert the model again with --nested",
        ) from broken


def _metadata(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    model = schema.Model.GetRootAs(data, 0)
    for number in range(min(model.MetadataLength(), 64)):
        entry = model.Metadata(number)
        name = entry.Name() or b""
        if name not in (METADATA, METADATA_DATA):
            continue
        if entry.Buffer() >= model.BuffersLength():
            raise ValueError(f"buffer {entry.Buffer()} of {model.BuffersLength()}")
        buffer = model.Buffers(entry.Buffer())
        yield name, buffer.DataAsNumpy().tobytes() if buffer.DataLength() else b""


def _decoded(head: Any, numbers: bytes, graph: Graph) -> Nested:
    if head["version"] != _VERSION:
        raise ValueError(f"version {head['version']}; this edgeq knows {_VERSION}")
    precisions = tuple(head["precisions"])
    if precisions != tuple(b for b in BITS if b in precisions) or precisions[:1] != (8,) or len(precisions) < 2:
        raise ValueError(f"precisions {precisions}")
    at, layers = 0, []
    for item in head["layers"]:
        channels = _checked_layer(graph, item["weights"], item["bias"], item["channels"])
        levels: dict[int, Level] = {}
        for bits in precisions[1:]:
            part = numbers[at : at + 8 * channels]
            at += 8 * channels
            scale, bias = np.frombuffer(part[: 4 * channels], "<f4"), np.frombuffer(part[4 * channels :], "<i4")
            if bias.size != channels or not np.all(np.isfinite(scale) & (scale > 0)):
                raise ValueError(f"{bits} bits of tensor {item['weights']}")
            levels[bits] = Level(scale, bias)
        layers.append(NestedLayer(item["weights"], item["bias"], MappingProxyType(levels)))
    if at != len(numbers):
        raise ValueError(f"{len(numbers)} bytes of numbers for {at}")
    return Nested(precisions, tuple(layers))


def _checked_layer(graph: Graph, weights: Any, bias: Any, channels: Any) -> int:
    if not all(isinstance(v, int) for v in (weights, bias, channels)) or min(weights, bias) < 0:
        raise ValueError("a layer without numbers")
    held, added = graph.tensors[weights], graph.tensors[bias]
    readers = [op for op in graph.ops if weights in op.inputs or bias in op.inputs]
    if len(readers) != 1 or readers[0].kind not in ("CONV_2D", "FULLY_CONNECTED"):
        raise ValueError(f"tensors {weights} and {bias} are not one layer's")
    if readers[0].inputs[1:3] != (weights, bias) or held.dtype is not DType.INT8 or not held.is_constant:
        raise ValueError(f"tensor {weights} is no constant int8 weights")
    if held.quant is None or held.quant.zero_point.any():
        raise ValueError(f"tensor {weights} is not quantized symmetrically")
    if added.dtype is not DType.INT32 or added.shape != (channels,) or held.shape[0] != channels:
        raise ValueError(f"{channels} channels for tensors of {held.shape} and {added.shape}")
    return int(channels)
