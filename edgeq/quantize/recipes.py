"""A scheme, and other schemes for single layers, as a recipe of ai-edge-quantizer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgeq.errors import UsageError
from edgeq.graph import Graph, Op
from edgeq.quantize.schemes import Scheme, scheme_named

PerLayer = Mapping[int, str | Scheme] | Mapping[str, str | Scheme] | Mapping[int | str, str | Scheme]
"""Layers by the operator's index or its output tensor's name in the float graph."""

_FOUR_BIT = ("CONV_2D", "FULLY_CONNECTED")
_LONGEST_SCOPE = 10_000  # the quantizer cuts the names that it matches there


def layer_schemes(graph: Graph, per_layer: PerLayer | None) -> Mapping[int, Scheme]:
    """Which operators, by index, have a scheme of their own.

    Raises:
        UsageError: no such layer, or no such scheme.
    """
    outputs = {graph.tensors[i].name: op.index for op in graph.ops for i in op.outputs}
    chosen: dict[int, Scheme] = {}
    for layer, name in (per_layer or {}).items():
        index = layer if isinstance(layer, int) else outputs.get(layer)
        if index is None or not 0 <= index < len(graph.ops):
            raise UsageError(
                f"the model has no layer {layer!r}",
                where=graph.source or graph.name,
                next_step=f"name an operator's index, 0 to {len(graph.ops) - 1}, or its output tensor",
                layer=layer,
            )
        chosen[index] = scheme_named(name, layer=True)
    return chosen


def by_name(graph: Graph, per_layer: PerLayer | None) -> Mapping[str, Scheme]:
    """The same by the name of the operator's first output, which stays when operators are folded away."""
    return {graph.output_of(graph.ops[i]).name: scheme for i, scheme in layer_schemes(graph, per_layer).items()}


def recipe(graph: Graph, scheme: Scheme, layers: Mapping[int, Scheme], *, float_ends: bool) -> list[dict[str, Any]]:
    """The recipe: the scheme for all operators, then the layers that differ; later entries win.

    Args:
        layers: as `layer_schemes` gives them.
        float_ends: the model's ends will be float32: then an input is quantized as its readers want it, at once.
    """
    entries = _entries(".*", scheme)
    for index, own in layers.items():
        entries += _entries(_scope(graph, graph.ops[index].outputs), own)
    if float_ends:
        for end in graph.inputs:
            readers = [op for op in graph.ops if end in op.inputs]
            found = {layers.get(op.index, scheme) for op in readers}
            if len(found) == 1 and (only := found.pop()).is_static:
                entries += _entries(_scope(graph, (end,)), only)
    return entries


def four_bit(op: Op, scheme: Scheme) -> bool:
    """Whether `op` gets 4-bit weights of `scheme`."""
    return scheme.weight_bits == 4 and op.kind in _FOUR_BIT


def _scope(graph: Graph, tensors: tuple[int, ...]) -> str:
    """The expression that matches one operator: the quantizer knows it by its outputs' names."""
    scope = "".join(f"{graph.tensors[i].name};" for i in tensors)
    end = r"\Z" if len(scope) <= _LONGEST_SCOPE else ""
    return rf"\A{re.escape(scope[:_LONGEST_SCOPE])}{end}"


def _entries(regex: str, scheme: Scheme) -> list[dict[str, Any]]:
    if scheme.weight_bits == 32:
        return [_entry(regex, "*", "no_quantize", {})]
    if scheme.weight_bits == 16:
        weights = {"num_bits": 16, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "FLOAT"}
        options = {"weight_tensor_config": weights, "compute_precision": "FLOAT", "explicit_dequantize": True}
        return [_entry(regex, "*", "float_casting", options)]
    entries = [_entry(regex, "*", "min_max_uniform_quantize", _options(scheme, 8))]
    if scheme.weight_bits == 4:
        options = _options(scheme, 4)
        entries += [_entry(regex, kind, "min_max_uniform_quantize", options) for kind in _FOUR_BIT]
    return entries


def _options(scheme: Scheme, weight_bits: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "weight_tensor_config": {
            "num_bits": weight_bits,
            "symmetric": True,
            "granularity": "CHANNELWISE",
            "dtype": "INT",
        },
        "compute_precision": "FLOAT" if scheme.arithmetic == "float" else "INTEGER",
        "explicit_dequantize": scheme.arithmetic == "float",
    }
    if scheme.is_static:
        bits = scheme.activation_bits
        options["activation_tensor_config"] = {
            "num_bits": bits,
            "symmetric": bits == 16,
            "granularity": "TENSORWISE",
            "dtype": "INT",
        }
    return options


def _entry(regex: str, operation: str, algorithm: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": algorithm, "op_config": options}
