"""Operators that have an integer kernel everywhere but that the quantizer leaves in float.

It puts DEQUANTIZE before and QUANTIZE behind such an operator. Here the operator itself becomes int8 (or int16), with
the range that calibration saw for its output, and the conversions around it go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.quantize.methods import Range

_BUILTIN = schema.BuiltinOperator
_INT8, _INT16, _FLOAT = schema.TensorType.INT8, schema.TensorType.INT16, schema.TensorType.FLOAT32
_OWN_RANGE = frozenset({_BUILTIN.RELU6, _BUILTIN.RELU_N1_TO_1, _BUILTIN.RELU_0_TO_1, _BUILTIN.LEAKY_RELU})
_OWN_RANGE_INT16 = frozenset({_BUILTIN.LEAKY_RELU})  # the others have no int16 kernel in TensorFlow Lite
_SAME_RANGE = frozenset({_BUILTIN.SQUEEZE, _BUILTIN.EXPAND_DIMS})  # they move data and compute nothing


def absorb(model: Any, ranges: Mapping[str, Range]) -> None:
    """Make these operators integer, in place.

    Args:
        model: a `schema.ModelT` from the quantizer.
        ranges: of the float model's activations, by tensor name.
    """
    subgraph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    changed = False
    for operator in list(subgraph.operators):
        kind = codes[operator.opcodeIndex]
        if kind in _OWN_RANGE | _SAME_RANGE and _make_integer(model, operator, ranges, kind in _SAME_RANGE):
            changed = True
    if changed:
        _join_conversions(model)
        _drop_unread_dequantize(model)


def affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of an int8 tensor that holds `low` to `high`; zero is always among its values."""
    # In float32, as the quantizer does it: equal ranges must give equal parameters.
    below, above = np.float32(min(low, 0.0)), np.float32(max(high, 0.0))
    scale = np.maximum(above - below, np.float32(1e-9)) / np.float32(255)
    return float(scale), int(np.clip(np.rint(np.float32(-128) - below / scale), -128, 127))


def symmetric(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point (0) of an int16 tensor that holds `low` to `high`."""
    bound = np.maximum(np.maximum(np.abs(np.float32(low)), np.abs(np.float32(high))), np.float32(1e-9))
    return float(bound / np.float32(32767)), 0


def _make_integer(model: Any, operator: Any, ranges: Mapping[str, Range], same_range: bool) -> bool:
    subgraph = model.subgraphs[0]
    source = _integer_source(model, operator.inputs[0])
    result = operator.outputs[0]
    tensor = subgraph.tensors[result]
    found = ranges.get(_text(tensor.name))
    if source is None or tensor.type != _FLOAT or (found is None and not same_range):
        return False
    kind = model.operatorCodes[operator.opcodeIndex].builtinCode
    if subgraph.tensors[source].type == _INT16 and not same_range and kind not in _OWN_RANGE_INT16:
        return False
    floating = schema.TensorT()
    floating.name = _text(tensor.name) + "_float"
    floating.shape, floating.type, floating.buffer = list(tensor.shape), _FLOAT, 0
    subgraph.tensors.append(floating)
    outside = len(subgraph.tensors) - 1
    _redirect(subgraph, result, outside)
    tensor.type = subgraph.tensors[source].type
    tensor.quantization = schema.QuantizationParametersT()
    if same_range:
        before = subgraph.tensors[source].quantization
        tensor.quantization.scale, tensor.quantization.zeroPoint = list(before.scale), list(before.zeroPoint)
    elif found is not None:
        scale, zero_point = (affine if tensor.type == _INT8 else symmetric)(found.low, found.high)
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    operator.inputs = [source, *list(operator.inputs)[1:]]
    operators = list(subgraph.operators)
    place = next(i for i, o in enumerate(operators) if o is operator)
    operators.insert(place + 1, _dequantize(model, result, outside))
    subgraph.operators = operators
    return True


def _dequantize(model: Any, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = next(
        i for i, code in enumerate(model.operatorCodes) if code.builtinCode == _BUILTIN.DEQUANTIZE
    )
    operator.inputs, operator.outputs = [source], [target]
    return operator


def _join_conversions(model: Any) -> None:
    """QUANTIZE of a DEQUANTIZE: nothing at all where both sides agree, else one step between integers."""
    subgraph = model.subgraphs[0]
    kept = []
    for operator in subgraph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode != _BUILTIN.QUANTIZE:
            kept.append(operator)
            continue
        source, target = _integer_source(model, operator.inputs[0]), operator.outputs[0]
        if source is not None and _same_quantization(subgraph.tensors[source], subgraph.tensors[target]):
            _redirect(subgraph, target, source)
            continue
        if source is not None:
            operator.inputs = [source]
        kept.append(operator)
    subgraph.operators = kept


def _drop_unread_dequantize(model: Any) -> None:
    subgraph = model.subgraphs[0]
    read = {i for operator in subgraph.operators for i in operator.inputs} | set(subgraph.outputs)
    subgraph.operators = [
        operator
        for operator in subgraph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode != _BUILTIN.DEQUANTIZE or operator.outputs[0] in read
    ]


def _integer_source(model: Any, index: int) -> int | None:
    """The int8 or int16 tensor that float tensor `index` is the DEQUANTIZE of."""
    subgraph = model.subgraphs[0]
    for operator in subgraph.operators:
        if operator.outputs[0] == index:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            source = int(operator.inputs[0])
            integer = subgraph.tensors[source].type in (_INT8, _INT16)
            return source if code == _BUILTIN.DEQUANTIZE and integer else None
    return None


def _redirect(subgraph: Any, old: int, new: int) -> None:
    for operator in subgraph.operators:
        operator.inputs = [new if i == old else int(i) for i in operator.inputs]
    subgraph.outputs = [new if i == old else int(i) for i in subgraph.outputs]


def _same_quantization(a: Any, b: Any) -> bool:
    return (
        a.type == b.type
        and np.array_equal(np.float32(a.quantization.scale), np.float32(b.quantization.scale))
        and np.array_equal(a.quantization.zeroPoint, b.quantization.zeroPoint)
    )


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else (name or "")
