"""Operators that quantizers have no integer form of, as STRIDED_SLICE, which they have.

SPLIT_V; a SPLIT of which some outputs are unread (the first step of an unrolled LSTM has one: its forget gate meets a
memory of zeros); REVERSE_V2 (a bidirectional layer turns its backward half round).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.tflite.objects import constant_buffer

_BUILTIN = schema.BuiltinOperator


def slices_instead(model: Any) -> None:
    """Replace these operators, in place."""
    subgraph = model.subgraphs[0]
    read = {int(i) for operator in subgraph.operators for i in operator.inputs} | {int(i) for i in subgraph.outputs}
    operators: list[Any] = []
    for operator in subgraph.operators:
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        made = None
        if kind == _BUILTIN.SPLIT_V:
            made = _parts(model, operator, read, 0, 2)
        elif kind == _BUILTIN.SPLIT and any(int(i) not in read for i in operator.outputs):
            made = _parts(model, operator, read, 1, 0)
        elif kind == _BUILTIN.REVERSE_V2:
            made = _backwards(model, operator)
        operators += [operator] if made is None else made
    subgraph.operators = operators


def _axis(model: Any, tensor: Any, rank: int) -> int | None:
    """The one axis that a constant names."""
    stored = model.buffers[tensor.buffer].data
    if stored is None or len(stored) != 4:
        return None
    return int(np.frombuffer(bytes(bytearray(stored)), "<i4")[0]) % rank


def _parts(model: Any, operator: Any, read: set[int], data: int, axis: int) -> list[Any] | None:
    tensors = model.subgraphs[0].tensors
    source = int(operator.inputs[data])
    shape = [int(d) for d in tensors[source].shape]
    along = _axis(model, tensors[operator.inputs[axis]], len(shape))
    if along is None:
        return None
    made, start = [], 0
    for output in operator.outputs:
        length = int(tensors[output].shape[along])
        if int(output) in read:
            begin, end = [0] * len(shape), list(shape)
            begin[along], end[along] = start, start + length
            made.append(_slice(model, source, int(output), begin, end))
        start += length
    return made


def _backwards(model: Any, operator: Any) -> list[Any] | None:
    tensors = model.subgraphs[0].tensors
    source = int(operator.inputs[0])
    shape = [int(d) for d in tensors[source].shape]
    along = _axis(model, tensors[operator.inputs[1]], len(shape))
    if along is None:
        return None
    begin, end, strides = [0] * len(shape), list(shape), [1] * len(shape)
    begin[along], strides[along] = shape[along] - 1, -1
    end[along] = -shape[along] - 1  # before the first element
    return [_slice(model, source, int(operator.outputs[0]), begin, end, strides)]


def _slice(
    model: Any, source: int, output: int, begin: list[int], end: list[int], strides: list[int] | None = None
) -> Any:
    operator: Any = schema.OperatorT()
    operator.opcodeIndex = _code(model, _BUILTIN.STRIDED_SLICE)
    bounds = [_constant(model, values) for values in (begin, end, strides or [1] * len(begin))]
    operator.inputs, operator.outputs = [source, *bounds], [output]
    operator.builtinOptionsType = schema.BuiltinOptions.StridedSliceOptions
    operator.builtinOptions = schema.StridedSliceOptionsT()
    return operator


def _code(model: Any, builtin: int) -> int:
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin:
            return index
    made: Any = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.version = builtin, min(builtin, 127), 1
    model.operatorCodes.append(made)
    return len(model.operatorCodes) - 1


def _constant(model: Any, values: list[int]) -> int:
    subgraph = model.subgraphs[0]
    tensor: Any = schema.TensorT()
    tensor.name = f"bounds_{len(subgraph.tensors)}"
    tensor.shape, tensor.type = [len(values)], schema.TensorType.INT32
    tensor.buffer = constant_buffer(model, np.array(values, np.int32))
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1
