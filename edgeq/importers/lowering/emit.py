"""A Net as the bytes of a float `.tflite`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers.lowering.net import Net, Step, Value
from edgeq.tflite.objects import constant_buffer, pack

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "bool": schema.TensorType.BOOL,
}
# Operators whose options table isn't called after them.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "SELECT_V2": "SelectV2Options",
    "PADV2": "PadV2Options",
}
TENSOR_TYPES = _TYPES


def emit(net: Net, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Write the file.

    Args:
        inputs, outputs: what the ends are called in the signature.
    """
    model: Any = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    subgraph: Any = schema.SubGraphT()
    subgraph.name = "main"
    shared: dict[bytes, int] = {}
    used = _used(net)
    places = {name: i for i, name in enumerate(used)}
    subgraph.tensors = [_tensor(model, net.values[name], shared) for name in used]
    codes: dict[tuple[str, int], int] = {}
    subgraph.operators = [_operator(model, step, places, codes) for step in net.steps]
    subgraph.inputs = [places[name] for name in net.inputs]
    subgraph.outputs = [places[name] for name in net.outputs]
    model.subgraphs = [subgraph]
    model.signatureDefs = [_signature(subgraph, inputs, outputs)]
    return pack(model)


def _used(net: Net) -> list[str]:
    order = [*net.inputs]
    for step in net.steps:
        order += [name for name in (*step.inputs, *step.outputs) if name]
    return list(dict.fromkeys([*order, *net.outputs]))


def _tensor(model: Any, value: Value, shared: dict[bytes, int]) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = value.name, list(value.shape), _TYPES[value.dtype], 0
    if value.data is not None:
        data = np.ascontiguousarray(value.data)
        digest = hashlib.sha256(data.tobytes()).digest()
        if digest not in shared:
            shared[digest] = constant_buffer(model, data)
        tensor.buffer = shared[digest]
    return tensor


def _operator(model: Any, step: Step, places: dict[str, int], codes: dict[tuple[str, int], int]) -> Any:
    key = step.kind, _version(step)
    if key not in codes:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, step.kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), key[1]
        codes[key] = len(model.operatorCodes)
        model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = codes[key]
    operator.inputs = [places[name] if name else -1 for name in step.inputs]
    operator.outputs = [places[name] for name in step.outputs]
    table = _OPTIONS.get(step.kind, "".join(word.capitalize() for word in step.kind.split("_")) + "Options")
    if hasattr(schema, table + "T"):
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        operator.builtinOptions = getattr(schema, table + "T")()
        for option, value in step.options.items():
            if not hasattr(operator.builtinOptions, option):
                raise AttributeError(f"{table} has no {option}")
            setattr(operator.builtinOptions, option, value)
    return operator


def _version(step: Step) -> int:
    """The operator version that brought what is used (tensorflow/lite/tools/versioning/op_version.cc)."""
    if step.kind == "FULLY_CONNECTED":
        return 5 if step.options.get("keepNumDims") else 1
    if step.kind == "TRANSPOSE_CONV" and len(step.inputs) > 3:
        return 3
    if step.kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR") and step.options.get("halfPixelCenters"):
        return 3
    return 2 if step.kind == "BROADCAST_TO" else 1


def _signature(subgraph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    signature: Any = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for ends, names, indices in (("inputs", inputs, subgraph.inputs), ("outputs", outputs, subgraph.outputs)):
        maps = []
        for name, index in zip(names, indices, strict=True):
            end: Any = schema.TensorMapT()
            end.name, end.tensorIndex = name, index
            maps.append(end)
        setattr(signature, ends, maps)
    return signature
