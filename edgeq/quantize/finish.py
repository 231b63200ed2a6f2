"""The last touches on a quantized file: the type of its ends, operator versions, nothing unused inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgeq.quantize.absorb import absorb, affine
from edgeq.quantize.methods import Range
from edgeq.quantize.schemes import EndType
from edgeq.quantize.versions import version_of
from edgeq.tflite.objects import pack, unpack

_TYPES = schema.TensorType
_OPERATORS = schema.BuiltinOperator
_INTEGERS = {_TYPES.INT8: "int8", _TYPES.INT16: "int16"}


def finish(data: bytes, io: EndType, ranges: Mapping[str, Range]) -> bytes:
    """Give a quantized `.tflite` with integer ends the ends `io`, correct operator versions, and pack it anew.

    Args:
        ranges: of the float model's activations, by tensor name, for operators that the quantizer left out.
    """
    model = unpack(data)
    subgraph = model.subgraphs[0]
    subgraph.inputs, subgraph.outputs = list(subgraph.inputs), list(subgraph.outputs)  # they were read-only
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode or 0, code.deprecatedBuiltinCode or 0)
    absorb(model, ranges)
    _convert_inputs(model, io, ranges)
    _convert_outputs(model, io, ranges)
    _rebuild_operator_codes(model)
    _drop_unused_buffers(model)
    model.metadata = None
    model.signatureDefs = None
    model.description = "edgeq"
    return pack(model)


def _convert_inputs(model: Any, io: EndType, ranges: Mapping[str, Range]) -> None:
    """Put QUANTIZE behind every input of another integer type."""
    subgraph = model.subgraphs[0]
    for place, index in enumerate(list(subgraph.inputs)):
        inner = subgraph.tensors[index]
        if not _needs_conversion(inner, io):
            continue
        outer = _outer_end(model, inner, io, ranges.get(_name(inner)))
        inner.name = f"{_name(inner)}_{_INTEGERS[inner.type]}"
        subgraph.inputs[place] = outer
        operator = _operator(model, _OPERATORS.QUANTIZE, outer, index)
        subgraph.operators = [operator, *subgraph.operators]


def _convert_outputs(model: Any, io: EndType, ranges: Mapping[str, Range]) -> None:
    """Put DEQUANTIZE (float32) or QUANTIZE (uint8) before every output of another integer type."""
    subgraph = model.subgraphs[0]
    for place, index in enumerate(list(subgraph.outputs)):
        inner = subgraph.tensors[index]
        if not _needs_conversion(inner, io):
            continue
        outer = _outer_end(model, inner, io, ranges.get(_name(inner)))
        inner.name = f"{_name(inner)}_{_INTEGERS[inner.type]}"
        subgraph.outputs[place] = outer
        kind = _OPERATORS.DEQUANTIZE if io == "float32" else _OPERATORS.QUANTIZE
        subgraph.operators = [*subgraph.operators, _operator(model, kind, index, outer)]


def _needs_conversion(inner: Any, io: EndType) -> bool:
    return inner.type in _INTEGERS and _INTEGERS[inner.type] != io and _scale(inner) is not None


def _outer_end(model: Any, inner: Any, io: EndType, found: Range | None) -> int:
    """A tensor like `inner`, in the type of the ends; uint8 has int8's scale, its zero point 128 higher.

    Args:
        found: what the float tensor holds, for an end of 8 bits at an operator that works in 16.
    """
    outer = schema.TensorT()
    outer.name = inner.name
    outer.shape = list(inner.shape)
    outer.buffer = 0
    if io == "float32":
        outer.type = _TYPES.FLOAT32
    else:
        outer.type = _TYPES.INT8 if io == "int8" else _TYPES.UINT8
        outer.quantization = schema.QuantizationParametersT()
        scale, zero = float(inner.quantization.scale[0]), 0
        if inner.type == _TYPES.INT16 and found is not None:
            scale, zero = affine(found.low, found.high)
        elif inner.quantization.zeroPoint is not None and len(inner.quantization.zeroPoint):
            zero = int(inner.quantization.zeroPoint[0])
        outer.quantization.scale = [scale]
        outer.quantization.zeroPoint = [zero + (128 if io == "uint8" else 0)]
    tensors = model.subgraphs[0].tensors
    tensors.append(outer)
    return len(tensors) - 1


def _operator(model: Any, kind: int, source: int, target: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = kind
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [source], [target]
    if kind == _OPERATORS.QUANTIZE:
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
    else:
        operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def _rebuild_operator_codes(model: Any) -> None:
    """One code per operator kind and version, in order of first use, with the version its types need."""
    old = model.operatorCodes
    new: list[Any] = []
    places: dict[tuple[int, bytes | None, int], int] = {}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            before = old[operator.opcodeIndex]
            version = version_of(before.builtinCode, before.version or 1, operator, subgraph)
            key = (before.builtinCode, before.customCode, version)
            if key not in places:
                code = schema.OperatorCodeT()
                code.builtinCode, code.customCode, code.version = key
                code.deprecatedBuiltinCode = min(before.builtinCode, 127)
                places[key] = len(new)
                new.append(code)
            operator.opcodeIndex = places[key]
    model.operatorCodes = new


def _drop_unused_buffers(model: Any) -> None:
    kept = [model.buffers[0]]
    places: dict[int, int] = {0: 0}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            old = tensor.buffer or 0
            if old not in places:
                places[old] = len(kept)
                kept.append(model.buffers[old])
            tensor.buffer = places[old]
    model.buffers = kept


def _scale(tensor: Any) -> Any:
    return None if tensor.quantization is None else tensor.quantization.scale


def _name(tensor: Any) -> str:
    name = tensor.name or ""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
