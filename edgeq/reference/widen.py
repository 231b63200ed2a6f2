"""4-bit weights as 8-bit ones: the same integers and scales, and so the same results.

tflite-runtime 2.14's reference kernels know no 4-bit FULLY_CONNECTED per channel, nor the versions from 7 on by which
newer converters ask for 4-bit convolutions. Kernels that do know 4-bit weights unpack them to int8 first and compute
as with those.
"""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgeq.graph import DType, Graph, Op
from edgeq.tflite.objects import constant_buffer, pack, unpack

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4}


def has_4_bit_weights(graph: Graph) -> bool:
    """Whether integer operators of `graph` have constant int4 weights."""
    return any(_is_4_bit(graph, op) for op in graph.ops)


def widened(data: bytes, graph: Graph) -> bytes:
    """The file with int8 weights in place of the int4 ones of its integer operators; tensor indices stay."""
    model = unpack(data)
    subgraph = model.subgraphs[0]
    codes: dict[str, int] = {}
    for op in graph.ops:
        if not _is_4_bit(graph, op):
            continue
        weights = graph.tensors[op.inputs[1]]
        assert weights.data is not None
        tensor = subgraph.tensors[op.inputs[1]]
        if tensor.type == schema.TensorType.INT4:
            tensor.type, tensor.buffer = schema.TensorType.INT8, constant_buffer(model, weights.data)
        if op.kind not in codes:
            codes[op.kind] = _code(model, op.kind)
        subgraph.operators[op.index].opcodeIndex = codes[op.kind]
    _drop_unused_codes(model)
    return pack(model)


def _is_4_bit(graph: Graph, op: Op) -> bool:
    if op.kind not in _WEIGHTED:
        return False
    source, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    return (
        source is not None
        and source.dtype is DType.INT8
        and weights is not None
        and weights.dtype is DType.INT4
        and weights.is_constant
    )


def _code(model: Any, kind: str) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = _INT8_VERSIONS[kind]
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _drop_unused_codes(model: Any) -> None:
    """An interpreter refuses a file for a code that it doesn't know, used or not."""
    operators = [operator for subgraph in model.subgraphs for operator in subgraph.operators]
    used = sorted({operator.opcodeIndex for operator in operators})
    model.operatorCodes = [model.operatorCodes[i] for i in used]
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
