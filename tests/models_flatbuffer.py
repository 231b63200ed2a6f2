"""Small `.tflite` files made in memory, for tests of every room.

    single_op_model("ADD", inputs=[T((1, 4, 4, 3), scale=.1), T((1, 4, 4, 3), scale=.2, zero_point=3)],
                    output=T((1, 4, 4, 3), scale=.3), options={"fused_activation_function": "RELU"})

Tensors with `data` become constants, the others the model's inputs. Option keys and enum values are those
of `edgeq.graph.Op.options` (`stride_w`, `padding="SAME"`). Quantization is per tensor with a number as
`scale`, per channel with a sequence (then `axis` is the `quantized_dimension`). The files load in
tflite-runtime 2.14 and LiteRT; `model_bytes` builds networks of several operators from the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

_OPTIONS_OF = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "TOPK_V2": "TopKV2Options",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PADV2": "PadV2Options",
    "L2_NORMALIZATION": "L2NormOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "SVDF": "SVDFOptions",
}
_ENUM_OF = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "mode": "MirrorPadMode",
}
_BITS = {"INT4": 4, "INT2": 2}


@dataclass(frozen=True, eq=False)
class T:
    """One tensor of a model to be built.

    Attributes:
        scale: None (not quantized), one number, or one per channel.
        zero_point: one number, or one per channel; None leaves the list out of the file.
        data: makes it a constant; any array-like, cast to `dtype` (INT4, INT2: unpacked values), or the
            raw bytes of its buffer.
        shape_signature: -1 for dimensions that the producer left open.
    """

    shape: Sequence[int]
    dtype: str = "INT8"
    scale: float | Sequence[float] | None = None
    zero_point: int | Sequence[int] | None = 0
    axis: int = 0
    data: npt.ArrayLike | bytes | None = field(default=None, repr=False)
    name: str = ""
    shape_signature: Sequence[int] | None = None
    is_variable: bool = False


@dataclass(frozen=True, eq=False)
class O:  # noqa: E742  - short, as it is written a lot beside T
    """One operator of a model to be built: tensor indices as in the file, -1 for an absent optional input."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


def single_op_model(
    kind: str,
    inputs: Sequence[T | None],
    output: T | Sequence[T],
    options: Mapping[str, Any] | None = None,
    version: int = 1,
) -> bytes:
    """A model of one operator.

    Args:
        kind: the builtin's name (`CONV_2D`); a name that isn't one makes a custom operator.
        inputs: in the operator's order, None for an absent optional one.
        output: one or several.
        options: builtin options; those not named keep the schema's defaults (strides: 0, so name them).

    Returns:
        The file's bytes.
    """
    outputs = [output] if isinstance(output, T) else list(output)
    tensors: list[T] = []
    indices = []
    for tensor in inputs:
        indices.append(-1 if tensor is None else len(tensors))
        if tensor is not None:
            tensors.append(tensor)
    made = list(range(len(tensors), len(tensors) + len(outputs)))
    ends = [i for i in indices if i >= 0 and tensors[i].data is None and not tensors[i].is_variable]
    operator = O(kind, indices, made, options or {}, version)
    return model_bytes([*tensors, *outputs], [operator], ends, made)


def model_bytes(tensors: Sequence[T], operators: Sequence[O], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A model of any operators in execution order; all indices are positions in `tensors`."""
    return pack(model_object(tensors, operators, inputs, outputs))


def model_object(tensors: Sequence[T], operators: Sequence[O], inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    """The same as the schema's object tree (`ModelT`), for tests that spoil it before `pack`."""
    model = schema.ModelT()
    model.version = 3
    model.description = "made by a test"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_tensor(i, t, model.buffers) for i, t in enumerate(tensors)]
    graph.operators = [_operator(o, model.operatorCodes) for o in operators]
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    model.subgraphs = [graph]
    return model


def pack(model: Any) -> bytes:
    """A `ModelT` as the bytes of a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(index: int, spec: T, buffers: list[Any]) -> Any:
    tensor = schema.TensorT()
    tensor.shape = list(spec.shape)
    tensor.type = getattr(schema.TensorType, spec.dtype)
    tensor.name = spec.name or f"t{index}"
    tensor.isVariable = spec.is_variable
    tensor.hasRank = True
    if spec.shape_signature is not None:
        tensor.shapeSignature = list(spec.shape_signature)
    if spec.scale is not None:
        tensor.quantization = _quantization(spec)
    if spec.data is None:
        tensor.buffer = 0
        if spec.is_variable:
            tensor.buffer = len(buffers)
            buffers.append(schema.BufferT())
        return tensor
    tensor.buffer = len(buffers)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_raw(spec), np.uint8)
    buffers.append(buffer)
    return tensor


def _quantization(spec: T) -> Any:
    quantization = schema.QuantizationParametersT()
    scale = np.atleast_1d(np.asarray(spec.scale, np.float32))
    quantization.scale = scale
    if spec.zero_point is not None:
        zeros = np.asarray(spec.zero_point, np.int64)
        quantization.zeroPoint = np.broadcast_to(zeros, scale.shape).copy() if zeros.ndim == 0 else zeros
    quantization.quantizedDimension = spec.axis
    return quantization


def _raw(spec: T) -> bytes:
    if isinstance(spec.data, bytes):
        return spec.data
    bits = _BITS.get(spec.dtype)
    if bits is None:
        dtype = np.dtype(spec.dtype.lower() if spec.dtype != "BOOL" else "bool")
        return np.ascontiguousarray(spec.data, dtype.newbyteorder("<")).tobytes()
    values = np.asarray(spec.data, np.int8).reshape(-1) & ((1 << bits) - 1)
    per_byte = 8 // bits
    padded = np.zeros(-(-values.size // per_byte) * per_byte, np.uint8)
    padded[: values.size] = values
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return np.bitwise_or.reduce(padded.reshape(-1, per_byte) << shifts, axis=1).astype(np.uint8).tobytes()


def _operator(spec: O, codes: list[Any]) -> Any:
    operator = schema.OperatorT()
    number = getattr(schema.BuiltinOperator, spec.kind, None)
    code = schema.OperatorCodeT()
    code.version = spec.version
    code.builtinCode = schema.BuiltinOperator.CUSTOM if number is None else number
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.customCode = spec.kind if number is None else None
    operator.opcodeIndex = len(codes)
    codes.append(code)
    operator.inputs, operator.outputs = list(spec.inputs), list(spec.outputs)
    camel = "".join(part.capitalize() for part in spec.kind.split("_"))
    name = _OPTIONS_OF.get(spec.kind, camel + "Options")
    cls = getattr(schema, name + "T", None)
    if number is None or cls is None:
        if spec.options:
            raise ValueError(f"{spec.kind} has no builtin options in the schema")
        return operator
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    operator.builtinOptions = options = cls()
    for key, value in spec.options.items():
        attribute = re.sub(r"_(\w)", lambda m: m[1].upper(), key)
        if not hasattr(options, attribute):
            raise ValueError(f"{name} has no '{key}'")
        setattr(options, attribute, _plain(key, value))
    return operator


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, str) and key not in ("container", "shared_name"):
        enum = _ENUM_OF.get(key, "TensorType")
        return getattr(getattr(schema, enum), value)
    return list(value) if isinstance(value, tuple) else value
