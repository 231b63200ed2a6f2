"""From a trained network with quantization inside to the integer file that computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeq import tflite
from edgeq.errors import EdgeqError
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.quantize.methods import Range
from edgeq.quantize.ptq import quantize
from edgeq.training.export import float_model
from edgeq.training.network import Array
from edgeq.training.plan import Plan
from edgeq.training.prepare import Prepared, quantized_layer, ranges_of, trained_weights

_MOST_BIAS = 2.0**30


def integer_file(model: Any, io: Any = "int8") -> tuple[Model, bytes, Graph]:
    """The float model of a prepared Keras model's weights, and the integer file with its ranges.

    Raises:
        EdgeqError: a tensor of the file has other parameters than were trained with.
    """
    plan: Plan = quantized_layer(model).plan
    ranges = ranges_of(model)
    floats = float_model(plan.network, _with_room_for_bias(plan, trained_weights(model), ranges))
    by_index = {t.index: ranges[t.name] for t in floats.graph.tensors if t.name in ranges}
    data = quantize(floats, by_index, io)
    graph = tflite.parse(data, "", floats.name)
    _verify(model, graph)
    return floats, data, graph


def _with_room_for_bias(plan: Plan, weights: dict[str, Array], ranges: dict[str, Range]) -> dict[str, Array]:
    """Weights whose scales leave every bias inside int32.

    A channel whose weights are (nearly) all zero has a tiny scale, and its bias is an integer of the scale
    input · weights. Its greatest weight is raised just enough; what that adds is below 2^-15 of the bias.
    """
    made = dict(weights)
    for name in plan.kernel_shapes:
        node = plan.network.node(name)
        source = ranges[node.inputs[0]]
        levels = 2.0**plan.bits.activations - 1
        step = max(max(source.high, 0.0) - min(source.low, 0.0), 1e-9) / levels
        kernel, bias = made[f"{name}/kernel"], made[f"{name}/bias"]
        most = 2.0 ** (plan.bits.of_weights(node) - 1) - 1
        columns = kernel.reshape(-1, bias.size).copy()
        wanted = np.abs(bias) / (step * _MOST_BIAS) * most
        place = np.abs(columns).argmax(axis=0)
        for channel in np.flatnonzero(np.abs(columns).max(axis=0) < wanted):
            sign = -1.0 if columns[place[channel], channel] < 0 else 1.0
            columns[place[channel], channel] = sign * wanted[channel]
        made[f"{name}/kernel"] = columns.reshape(kernel.shape)
    return made


def _verify(model: Any, graph: Graph) -> None:
    """Every tensor that has a node's name has just the scale and zero point that training used."""
    layer = quantized_layer(model)
    parameters = layer.engine.parameters()
    groups = layer.plan.groups
    for tensor in graph.tensors:
        if tensor.name not in groups or tensor.quant is None or tensor.dtype.is_float:
            continue
        used = parameters[groups[tensor.name].name]
        scale, zero = float(used.scale), float(used.zero)
        zero += 128 if tensor.dtype.value == "UINT8" else 0
        found = float(tensor.quant.scale[0]), float(tensor.quant.zero_point[0])
        if abs(found[0] - scale) > 1e-6 * scale or found[1] != zero:
            raise EdgeqError(
                f"tensor '{tensor.name}' has scale {found[0]:.8g} and zero point {found[1]:.0f} in the file, but was "
                f"trained with {scale:.8g} and {zero:.0f}",
                where=graph.name,
                next_step="report this with the model's layers: the file isn't what was trained",
                tensor=tensor.name,
            )
