"""What a converter folds before it writes: constants scaled into the layer before, activations, what nobody reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers.lowering.net import Array, Net, Step, Value

_ACTIVATIONS = {
    "RELU": schema.ActivationFunctionType.RELU,
    "RELU6": schema.ActivationFunctionType.RELU6,
    "RELU_N1_TO_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}
_FUSED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD"})
_LINEAR = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # the weights' axis of output channels


def fuse(net: Net) -> Net:
    """Fold channel-wise MUL and ADD, and orders of channels, into the linear layer before; then activations."""
    return _without_unread(_activations(_without_unread(_scales(net))))


def _scales(net: Net) -> Net:
    values = dict(net.values)
    readers = _readers(net)
    made_by = {name: i for i, step in enumerate(net.steps) for name in step.outputs}
    steps: list[Step | None] = list(net.steps)
    for i, step in enumerate(net.steps):
        if step.kind not in ("MUL", "ADD", "SUB", "DIV", "GATHER") or len(step.inputs) != 2:
            continue
        source, factor = _data_and_constant(step, values)
        place = made_by.get(source, -1)
        layer = steps[place] if place >= 0 else None
        if layer is None or layer.kind not in _LINEAR or readers[source] != 1 or source in net.outputs:
            continue
        if values[step.outputs[0]].shape != values[source].shape:
            continue
        folded = _folded(layer, step, factor, values)
        if folded is None:
            continue
        steps[place] = None
        steps[i] = folded
        made_by[step.outputs[0]] = i
    return replace(net, values=values, steps=tuple(s for s in steps if s is not None))


def _data_and_constant(step: Step, values: dict[str, Value]) -> tuple[str, Array | None]:
    first, second = step.inputs
    if values[second].data is not None:
        return first, values[second].data
    if step.kind in ("MUL", "ADD") and values[first].data is not None:
        return second, values[first].data
    return first, None


def _folded(layer: Step, step: Step, factor: Array | None, values: dict[str, Value]) -> Step | None:
    weights = values[layer.inputs[1]].data
    if factor is None or weights is None or layer.options.get("fusedActivationFunction"):
        return None
    shape = values[layer.outputs[0]].shape
    channels = shape[-1]
    if step.kind == "GATHER":
        return _reordered(layer, step, factor, values) if step.options["axis"] % len(shape) == len(shape) - 1 else None
    flat = factor.reshape(-1)
    if flat.size not in (1, channels) or (flat.size > 1 and factor.shape[-1:] != (channels,)):
        return None
    along = flat.astype(np.float32) if flat.size > 1 else np.full(channels, flat[0], np.float32)
    bias = np.zeros(channels, np.float32)
    if len(layer.inputs) > 2 and layer.inputs[2]:
        stored = values[layer.inputs[2]].data
        if stored is None:
            return None
        bias = stored.astype(np.float32)
    inputs = list(layer.inputs[:2])
    if step.kind in ("MUL", "DIV"):
        scale = along if step.kind == "MUL" else np.float32(1) / along
        along_weights = [1] * weights.ndim
        along_weights[_LINEAR[layer.kind]] = channels
        inputs[1] = _constant(values, weights * scale.reshape(along_weights), layer.inputs[1])
        bias = bias * scale
    else:
        bias = bias + along if step.kind == "ADD" else bias - along
    inputs.append(_constant(values, bias.astype(np.float32), layer.outputs[0] + "_bias"))
    return Step(layer.kind, tuple(inputs), step.outputs, layer.options)


def _reordered(layer: Step, step: Step, places: Array, values: dict[str, Value]) -> Step | None:
    """The layer with its output channels in another order; not a depthwise one, whose inputs would have to follow."""
    if layer.kind == "DEPTHWISE_CONV_2D" or places.ndim != 1:
        return None
    inputs = list(layer.inputs)
    for position, name in enumerate(layer.inputs[1:], 1):
        stored = values[name].data if name else None
        if name and stored is None:
            return None
        if stored is not None:
            inputs[position] = _constant(values, np.ascontiguousarray(stored[places]), name)
    return Step(layer.kind, tuple(inputs), step.outputs, layer.options)


def _constant(values: dict[str, Value], data: Array, wish: str) -> str:
    name, count = wish, 1
    while name in values:
        name, count = f"{wish}_{count}", count + 1
    values[name] = Value(name, data.shape, data.dtype.name, data)
    return name


def _activations(net: Net) -> Net:
    readers = _readers(net)
    steps: list[Step | None] = list(net.steps)
    made_by = {name: i for i, step in enumerate(net.steps) for name in step.outputs}
    for i, step in enumerate(net.steps):
        place = made_by.get(step.inputs[0], -1) if step.kind in _ACTIVATIONS else -1
        layer = steps[place] if place >= 0 else None
        if layer is None or layer.kind not in _FUSED or readers[step.inputs[0]] != 1:
            continue
        if step.inputs[0] in net.outputs or layer.options.get("fusedActivationFunction"):
            continue
        if net.values[step.outputs[0]].shape != net.values[step.inputs[0]].shape:
            continue
        options: dict[str, Any] = {**layer.options, "fusedActivationFunction": _ACTIVATIONS[step.kind]}
        steps[place] = None
        steps[i] = Step(layer.kind, layer.inputs, step.outputs, options)
        made_by[step.outputs[0]] = i
    return replace(net, steps=tuple(s for s in steps if s is not None))


def _readers(net: Net) -> Counter[str]:
    return Counter([name for step in net.steps for name in step.inputs])


def _without_unread(net: Net) -> Net:
    read = set(net.outputs)
    kept: list[Step] = []
    for step in reversed(net.steps):
        if read & set(step.outputs):
            kept.append(step)
            read |= set(step.inputs)
    names = read | {name for step in kept for name in step.outputs} | set(net.inputs)
    values = {name: value for name, value in net.values.items() if name in names}
    return replace(net, values=values, steps=tuple(reversed(kept)))
