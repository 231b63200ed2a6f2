"""The layers with weights of a float model, their constants replaced, their inputs as the matrices they multiply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq import tflite
from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.importers import Model
from edgeq.tflite.objects import constant_buffer, pack, unpack

Floats = npt.NDArray[np.float32]
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, eq=False)
class Layer:
    """An operator with constant weights of its own.

    Attributes:
        source, output: its activations.
        weights: CONV_2D (out, height, width, in), DEPTHWISE_CONV_2D (1, height, width, out), FULLY_CONNECTED (out, in).
        bias: None where it has none.
        activation: fused into it.
    """

    op: Op
    source: Tensor
    output: Tensor
    weights: Tensor
    bias: Tensor | None
    activation: str

    @property
    def kind(self) -> str:
        """The operator's name."""
        return self.op.kind

    @property
    def outputs(self) -> int:
        """Output channels."""
        return self.weights.shape[3 if self.kind == "DEPTHWISE_CONV_2D" else 0]

    @property
    def values(self) -> Floats:
        """The weights."""
        assert self.weights.data is not None
        return self.weights.data.astype(np.float32)

    @property
    def bias_values(self) -> Floats:
        """The bias; zeros where there is none."""
        if self.bias is None or self.bias.data is None:
            return np.zeros(self.outputs, np.float32)
        return self.bias.data.astype(np.float32).reshape(-1)

    @property
    def rows(self) -> Floats:
        """The weights as (out, everything that one output channel multiplies)."""
        if self.kind == "DEPTHWISE_CONV_2D":
            return self.values.reshape(-1, self.outputs).T
        return self.values.reshape(self.outputs, -1)

    def from_rows(self, rows: npt.NDArray[Any]) -> Floats:
        """The inverse of `rows`."""
        whole = rows.T if self.kind == "DEPTHWISE_CONV_2D" else rows
        return np.ascontiguousarray(whole, np.float32).reshape(self.weights.shape)


def layers(graph: Graph) -> tuple[Layer, ...]:
    """The layers whose float weights and bias belong to them alone, in execution order."""
    used = Counter(i for op in graph.ops for i in set(op.inputs))
    found = []
    for op in graph.ops:
        source, weights, bias = (graph.input_of(op, i) for i in range(3))
        if op.kind not in KINDS or source is None or weights is None:
            continue
        own = all(t is None or (t.is_constant and used[t.index] == 1) for t in (weights, bias))
        if own and weights.dtype is DType.FLOAT32 and source.dtype is DType.FLOAT32:
            activation = op.text("fused_activation_function", "NONE")
            found.append(Layer(op, source, graph.output_of(op), weights, bias, activation))
    return tuple(found)


def with_constants(model: Model, values: Mapping[int, npt.NDArray[Any]]) -> Model:
    """The model with other values in these float constants, by tensor index; shapes stay."""
    if not values:
        return model
    unpacked = unpack(model.tflite)
    for index, array in values.items():
        shape = model.graph.tensors[index].shape
        unpacked.subgraphs[0].tensors[index].buffer = constant_buffer(
            unpacked, np.ascontiguousarray(array, np.float32).reshape(shape)
        )
    return repacked(model, unpacked)


def with_biases(model: Model) -> Model:
    """The model with a bias (of zeros) in every layer."""
    without = [layer for layer in layers(model.graph) if layer.bias is None]
    if not without:
        return model
    unpacked = unpack(model.tflite)
    subgraph = unpacked.subgraphs[0]
    for layer in without:
        tensor = schema.TensorT()
        tensor.name, tensor.type = f"{layer.weights.name}/bias", schema.TensorType.FLOAT32
        tensor.shape = [layer.outputs]
        tensor.buffer = constant_buffer(unpacked, np.zeros(layer.outputs, np.float32))
        subgraph.tensors.append(tensor)
        operator = subgraph.operators[layer.op.index]
        operator.inputs = [*list(operator.inputs)[:2], len(subgraph.tensors) - 1]
    return repacked(model, unpacked)


def repacked(model: Model, unpacked: Any) -> Model:
    """The Model of an edited file."""
    _drop_unused_buffers(unpacked)
    data = pack(unpacked)
    return replace(model, tflite=data, graph=tflite.parse(data, model.source, model.name))


def _drop_unused_buffers(unpacked: Any) -> None:
    tensors = [tensor for subgraph in unpacked.subgraphs for tensor in subgraph.tensors]
    used = sorted({0, *(tensor.buffer or 0 for tensor in tensors)})
    places = {old: new for new, old in enumerate(used)}
    unpacked.buffers = [unpacked.buffers[i] for i in used]
    unpacked.metadata = None
    for tensor in tensors:
        tensor.buffer = places[tensor.buffer or 0]


def rows_seen(layer: Layer, source: Floats, most: int, rng: np.random.Generator) -> Floats | None:
    """What the rows of the weights are multiplied with in one sample, at `most` places chosen at random.

    Args:
        source: the layer's input, of its shape.

    Returns:
        (places, columns of `Layer.rows`); of a depthwise layer (places, height * width, out). None for a grouped
        convolution.
    """
    if layer.kind == "FULLY_CONNECTED":
        flat = source.reshape(-1, layer.weights.shape[1])
        return flat if len(flat) <= most else flat[rng.choice(len(flat), most, replace=False)]
    if layer.kind == "CONV_2D" and layer.source.shape[3] != layer.weights.shape[3]:
        return None
    windows = _windows(layer, source)
    picked = windows.reshape(-1, *windows.shape[3:])
    if len(picked) > most:
        picked = picked[rng.choice(len(picked), most, replace=False)]
    # (places, in, height, width) → height, width, in, as weights are stored
    ordered = np.ascontiguousarray(picked.transpose(0, 2, 3, 1))
    if layer.kind == "CONV_2D":
        return ordered.reshape(len(ordered), -1)
    multiplier = layer.outputs // layer.source.shape[3]
    return np.repeat(ordered.reshape(len(ordered), -1, layer.source.shape[3]), multiplier, axis=2)


def _windows(layer: Layer, source: Floats) -> Floats:
    """(batch, rows, columns, in, height, width): a view of the padded input."""
    op, shape = layer.op, layer.weights.shape
    strides = (op.integer("stride_h", 1), op.integer("stride_w", 1))
    dilations = (op.integer("dilation_h_factor", 1), op.integer("dilation_w_factor", 1))
    padded = source
    spans = [(shape[1 + axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    if op.text("padding") == "SAME":
        pads = []
        for axis in (0, 1):
            size = source.shape[1 + axis]
            total = max((-(-size // strides[axis]) - 1) * strides[axis] + spans[axis] - size, 0)
            pads.append((total // 2, total - total // 2))
        padded = np.pad(source, ((0, 0), *pads, (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (spans[0], spans[1]), axis=(1, 2))  # type: ignore[call-overload]
    found: Floats = views[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    return found


def consumers(graph: Graph) -> Mapping[int, tuple[Op, ...]]:
    """The operators that read each tensor."""
    found: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in dict.fromkeys(op.inputs):
            found.setdefault(index, []).append(op)
    return {index: tuple(ops) for index, ops in found.items()}


def chunks(total: int, most: int) -> Iterator[int]:
    """At most `most` of `total` places, evenly spread."""
    yield from (int(i) for i in np.unique(np.linspace(0, total - 1, min(total, most)).astype(int)))
