"""Fold what a batch normalization left behind, MUL and ADD with one constant per channel, into the layer next to it.

Converters fold most of them. Left are those that come before a layer, behind a padding, or from other frameworks. Each
costs a tensor with a rounding of its own, and its constants are quantized by one scale for all channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op, Tensor
from edgeq.importers import Model
from edgeq.quantize.repairs.contract import Setting
from edgeq.quantize.repairs.network import Layer, consumers, layers, repacked, with_biases, with_constants
from edgeq.tflite.objects import unpack

Floats = npt.NDArray[np.float64]

_KINDS = ("MUL", "DIV", "ADD", "SUB")


@dataclass(frozen=True)
class BatchNormFolding:
    """The repair; it has no parameters."""

    name: str = "batch-norm"
    exact: bool = True
    needs_data: bool = False

    def apply(self, model: Model, setting: Setting) -> Model:
        """Fold one operator after another while there are any."""
        while (folded := self._fold_one(model, setting)) is not None:
            model = folded
        return model

    def _fold_one(self, model: Model, setting: Setting) -> Model | None:
        graph = model.graph

        def named(*ops: Op) -> bool:
            """Layers with a scheme of their own stay what they are."""
            return any(graph.output_of(op).name in setting.layers for op in ops)

        readers = consumers(graph)
        for layer in layers(graph):
            after = _only(readers.get(layer.output.index, ()))
            if after is not None and layer.activation == "NONE" and layer.output.index not in graph.outputs:
                affine = _affine(graph, after, layer.output, layer.outputs)
                if affine is not None and not named(layer.op, after):
                    return _fold_after(model, layer, after, *affine)
            before = next((op for op in graph.ops if layer.source.index in op.outputs), None)
            alone = _only(readers.get(layer.source.index, ())) is layer.op and layer.source.index not in graph.outputs
            if before is not None and alone and before.text("fused_activation_function", "NONE") == "NONE":
                source = next((graph.tensors[i] for i in before.inputs if not graph.tensors[i].is_constant), None)
                affine = None if source is None else _affine(graph, before, source, layer.source.shape[-1])
                taken = affine is not None and _can_take(layer, affine[1]) and not named(layer.op, before)
                if source is not None and affine is not None and taken:
                    return _fold_before(model, layer, before, source, *affine)
        return None


def _only(readers: tuple[Op, ...]) -> Op | None:
    return readers[0] if len(readers) == 1 else None


def _affine(graph: Graph, op: Op, source: Tensor, channels: int) -> tuple[Floats, Floats] | None:
    """(factor, summand) per channel, when `op` is nothing but that of `source`."""
    if op.kind not in _KINDS or len(op.inputs) != 2 or source.index not in op.inputs or op.inputs[0] == op.inputs[1]:
        return None
    place = 1 - op.inputs.index(source.index)
    constant = graph.tensors[op.inputs[place]]
    output = graph.output_of(op)
    if constant.data is None or output.shape != source.shape or constant.elements not in (1, channels):
        return None
    if constant.elements > 1 and constant.shape[-1] != channels:
        return None
    value = np.broadcast_to(constant.data.astype(np.float64).reshape(-1), (channels,))
    one, zero = np.ones(channels), np.zeros(channels)
    if op.kind == "ADD":
        return one, value
    if op.kind == "SUB":
        return (one, -value) if place == 1 else (-one, value)
    if op.kind == "MUL":
        return value, zero
    return (1.0 / value, zero) if place == 1 and np.all(value != 0.0) else None


def _can_take(layer: Layer, summand: Floats) -> bool:
    """Whether a layer can take over what came before it: a padding adds zeros behind a summand, not before it."""
    if layer.kind == "FULLY_CONNECTED":
        return layer.weights.shape[1] == len(summand)
    if layer.kind == "CONV_2D" and layer.weights.shape[3] != len(summand):
        return False  # grouped
    padded = layer.op.text("padding") == "SAME" and layer.weights.shape[1:3] != (1, 1)
    return not padded or not summand.any()


def _fold_after(model: Model, layer: Layer, op: Op, factor: Floats, summand: Floats) -> Model:
    def edit(unpacked: Any) -> None:
        operators = unpacked.subgraphs[0].operators
        operators[layer.op.index].outputs = [op.outputs[0]]
        operators[layer.op.index].builtinOptions.fusedActivationFunction = operators[
            op.index
        ].builtinOptions.fusedActivationFunction

    rows = layer.rows * factor[:, None]
    bias = layer.bias_values * factor + summand
    return _replaced(model, layer, op, layer.from_rows(rows), bias, edit)


def _fold_before(model: Model, layer: Layer, op: Op, source: Tensor, factor: Floats, summand: Floats) -> Model:
    def edit(unpacked: Any) -> None:
        operator = unpacked.subgraphs[0].operators[layer.op.index]
        operator.inputs = [source.index, *list(operator.inputs)[1:]]

    weights = layer.values.astype(np.float64)
    if layer.kind == "DEPTHWISE_CONV_2D":
        repeated = layer.outputs // len(factor)
        bias = layer.bias_values + (weights * np.repeat(summand, repeated)).reshape(-1, layer.outputs).sum(axis=0)
        return _replaced(model, layer, op, weights * np.repeat(factor, repeated), bias, edit)
    bias = layer.bias_values + (weights * summand).reshape(layer.outputs, -1).sum(axis=1)
    return _replaced(model, layer, op, weights * factor, bias, edit)


def _replaced(
    model: Model, layer: Layer, op: Op, weights: npt.NDArray[Any], bias: npt.NDArray[Any], edit: Any
) -> Model:
    """The model with new constants in `layer`, `edit`ed, and without `op`."""
    if layer.bias is None:
        model = with_biases(model)
        layer = next(other for other in layers(model.graph) if other.op.index == layer.op.index)
    assert layer.bias is not None
    changed = with_constants(model, {layer.weights.index: weights, layer.bias.index: bias})
    unpacked = unpack(changed.tflite)
    edit(unpacked)
    operators = unpacked.subgraphs[0].operators
    unpacked.subgraphs[0].operators = [o for i, o in enumerate(operators) if i != op.index]
    return repacked(changed, unpacked)


METHOD = BatchNormFolding()
