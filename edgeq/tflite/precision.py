"""One precision of a nested model: as a graph, and as a file of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq.errors import UsageError
from edgeq.graph import DType, Graph, Int8, Nested, QuantParams, slice_weights
from edgeq.tflite.nested import METADATA, METADATA_DATA, entry_name
from edgeq.tflite.objects import constant_buffer, drop_unused_buffers, pack, unpack
from edgeq.tflite.reader import parse


def require_precision(graph: Graph, bits: int) -> Nested:
    """What the model says of its precisions, of which `bits` is one.

    Raises:
        UsageError: it isn't; the message says which are.
    """
    where = graph.source or graph.name
    if graph.nested is None:
        raise UsageError(
            "this model has one precision only",
            where=where,
            next_step="edgeq convert … --nested 8,4,2 makes one that has several",
        )
    if bits not in graph.nested.precisions:
        names = ", ".join(map(str, graph.nested.precisions))
        raise UsageError(f"there is no precision of {bits} bits", where=where, next_step=f"choose one of: {names}")
    return graph.nested


def at_precision(data: bytes, bits: int, graph: Graph | None = None) -> bytes:
    """A plain `.tflite` of one precision: int4 weights in the layers that have it, nothing nested.

    Args:
        graph: what `parse` read from `data`, where it is at hand.

    Raises:
        UsageError: the file has no such precision; the message says which it has.
        ModelFileError: it, or its metadata, is damaged.
    """
    graph = graph or parse(data)
    nested = require_precision(graph, bits)
    model = unpack(data)
    tensors = model.subgraphs[0].tensors
    for layer in nested.layers if bits != 8 else ():
        level = layer.levels[bits]
        weights = tensors[layer.weights]
        values = graph.tensors[layer.weights].data
        assert values is not None
        weights.type = schema.TensorType.INT4
        weights.buffer = constant_buffer(model, _packed(slice_weights(values.astype(np.int8), bits)))
        _requantize(weights, level.scale)
        bias = tensors[layer.bias]
        bias.buffer = constant_buffer(model, level.bias)
        op = next(o for o in graph.ops if layer.weights in o.inputs)
        source = graph.tensors[op.inputs[0]].quant
        assert source is not None
        _requantize(bias, np.float32(source.scale[0]) * level.scale)
    model.metadata = [m for m in model.metadata or [] if entry_name(m.name) not in (METADATA, METADATA_DATA)] or None
    drop_unused_buffers(model)
    return pack(model)


def graph_at(graph: Graph, bits: int) -> Graph:
    """The graph with the layers' weights, scales and biases at one precision; what `at_precision` reads as.

    (But for the bias's own scale, which nothing computes with.)
    """
    nested = require_precision(graph, bits)
    if bits == 8:
        return replace(graph, nested=None)
    tensors = list(graph.tensors)
    for layer in nested.layers:
        level = layer.levels[bits]
        weights, bias = tensors[layer.weights], tensors[layer.bias]
        assert weights.data is not None
        zeros = np.zeros(level.scale.size, np.int64)
        values = slice_weights(weights.data.astype(np.int8), bits)
        values.setflags(write=False)
        quant = QuantParams(level.scale, zeros, 0)
        tensors[layer.weights] = replace(weights, data=values, quant=quant, dtype=DType.INT4)
        tensors[layer.bias] = replace(bias, data=level.bias)
    return replace(graph, tensors=tuple(tensors), nested=None)


def _requantize(tensor: Any, scale: npt.NDArray[np.float32]) -> None:
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = [float(s) for s in scale]
    tensor.quantization.zeroPoint = [0] * scale.size
    tensor.quantization.quantizedDimension = 0


def _packed(values: Int8) -> npt.NDArray[np.uint8]:
    flat = np.zeros(values.size + values.size % 2, np.uint8)
    flat[: values.size] = values.reshape(-1).view(np.uint8) & 15
    return (flat[0::2] | flat[1::2] << 4).astype(np.uint8)
