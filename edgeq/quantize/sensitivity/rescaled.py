"""A float model with its channels scaled as a quantized one has them.

Equalization scales channels up in one layer and down in the next before it quantizes: the function stays, single layers
don't. Held against the original, every layer would look wrong. The scales can be read from the quantized weights, and
put into the float model, which computes the same then and can be compared layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq import tflite
from edgeq.graph import Graph, Op
from edgeq.importers import Model
from edgeq.quantize.sensitivity.matching import Matching, dequantized_constant
from edgeq.tflite.objects import constant_buffer, pack, unpack

Array = npt.NDArray[Any]
_Scales = dict[int, npt.NDArray[np.float64]]
"""Of a float activation, per channel (the last axis); a tensor that isn't in it has ones."""

_PASSING = frozenset(
    {"RELU", "LEAKY_RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD", "RESHAPE", "SQUEEZE", "EXPAND_DIMS",
     "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "STRIDED_SLICE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"}
)  # fmt: skip
_JOINS = frozenset({"ADD", "SUB", "MAXIMUM", "MINIMUM"})
_WEIGHTED = frozenset({"CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"})
_SCALED = 0.2
"""By which share a channel must differ before its layer counts as scaled; rounding alone stays far below."""
_LEAST_LIKE = 0.95
"""Cosine between a channel's weights, float and quantized, from which on a factor between them means something."""
_MISFIT = 1e-4
"""Of a layer's energy that scaled weights may miss more than twice what the original ones miss."""
_CLOSES = 0.1
"""How far from 1 the scales may end up at the model's outputs."""


def rescaled(model: Model, graph: Graph, matching: Matching) -> Model | None:
    """The float model with the channels of the quantized `graph`; None where they aren't scaled, or not throughout."""
    pairs = _pairs(model.graph, graph, matching)
    scales: _Scales = {}
    changed: dict[int, Array] = {}
    layers = 0
    for op in model.graph.ops:
        if op.kind in _WEIGHTED and op.index in pairs:
            scaled = _scale_layer(model.graph, op, graph, pairs[op.index], scales, changed)
            if scaled is None:
                return None
            layers += scaled
        elif not _pass_on(model.graph, op, scales):
            return None
    ends = [scales[t] for t in model.graph.outputs if t in scales]
    if layers < 2 or any(np.abs(s - 1.0).max() > _CLOSES for s in ends):
        return None
    whole = unpack(model.tflite)
    for tensor, values in changed.items():
        whole.subgraphs[0].tensors[tensor].buffer = constant_buffer(whole, values.astype(np.float32))
    data = pack(whole)
    return replace(model, tflite=data, graph=tflite.parse(data, model.source, model.name))


def _pairs(floating: Graph, graph: Graph, matching: Matching) -> Mapping[int, Op]:
    """For each float operator with weights the quantized one with the same."""
    found = {}
    for layer in matching.layers:
        mine = graph.input_of(graph.ops[layer.op], 1)
        for index in layer.group:
            theirs = floating.input_of(floating.ops[index], 1)
            if mine is None or theirs is None or not (mine.is_constant and theirs.is_constant):
                continue
            if floating.ops[index].kind in _WEIGHTED and mine.elements == theirs.elements:
                found[index] = graph.ops[layer.op]
    return found


def _scale_layer(
    floating: Graph, op: Op, graph: Graph, other: Op, scales: _Scales, changed: dict[int, Array]
) -> bool | None:
    """Work out the scales of a layer's output, and its weights and bias with them.

    Returns:
        Whether they are other than ones; None where the layer's quantized weights fit the scaled ones less well than
        the original ones: then one spoiled layer looks scaled, and the layer behind it makes up for nothing.
    """
    tensor, source = floating.tensors[op.inputs[1]], op.inputs[0]
    stored = dequantized_constant(graph.tensors[other.inputs[1]])
    assert tensor.data is not None and stored is not None
    weights = np.array(tensor.data, np.float64)
    real = stored.reshape(weights.shape).astype(np.float64)
    before = _misfit(real, weights)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    if source in scales:
        incoming = scales[source]
        if depthwise:
            incoming = np.repeat(incoming, weights.shape[-1] // incoming.size)
        weights = weights / incoming  # the last axis: input channels, or the depthwise ones
    axis = weights.ndim - 1 if depthwise else 0
    mine = np.moveaxis(real, axis, 0).reshape(weights.shape[axis], -1)
    its = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    power, both = np.sum(its * its, axis=1), np.sum(mine * its, axis=1)
    lengths = np.sqrt(power * np.sum(mine * mine, axis=1))
    like = both > _LEAST_LIKE * np.maximum(lengths, 1e-30)
    slope = np.where(like & (power > 0), both / np.maximum(power, 1e-30), 1.0)
    scaled = bool(np.any(np.abs(slope - 1.0) > _SCALED))
    if scaled:
        scales[op.outputs[0]] = slope
    if scaled or source in scales:
        along = [1] * weights.ndim
        along[axis] = -1
        changed[tensor.index] = weights * (slope.reshape(along) if scaled else 1.0)
        if _misfit(real, changed[tensor.index]) > _MISFIT + 2 * before:
            return None
        bias = floating.input_of(op, 2)
        if scaled and bias is not None and bias.data is not None:
            changed[bias.index] = np.array(bias.data, np.float64) * slope
    return scaled


def _misfit(real: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    """Energy of the difference beside that of the quantized weights."""
    return float(np.sum((real - weights) ** 2)) / max(float(np.sum(real * real)), 1e-30)


def _pass_on(graph: Graph, op: Op, scales: _Scales) -> bool:
    """The scales of what an operator without weights gives; False where it can't bear any."""
    read = [t for t in op.inputs if t >= 0 and not graph.tensors[t].is_constant]
    if not any(t in scales for t in read):
        return True
    channels = [graph.tensors[t].shape[-1] for t in read]
    given = [scales.get(t, np.ones(c)) for t, c in zip(read, channels, strict=True)]
    if op.kind in _JOINS:
        if any(g.shape != given[0].shape or np.abs(g / given[0] - 1.0).max() > _CLOSES for g in given):
            return False
    elif op.kind == "CONCATENATION" and op.integer("axis") in (-1, len(graph.output_of(op).shape) - 1):
        given = [np.concatenate(given)]
    elif op.kind not in _PASSING:
        return False
    width = graph.output_of(op).shape[-1]
    if width % given[0].size:
        return False
    scales[op.outputs[0]] = np.tile(given[0], width // given[0].size)
    return True
