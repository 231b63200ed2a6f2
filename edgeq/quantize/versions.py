"""Operator versions by type. A runtime looks an operator up by kind *and* version, and refuses newer ones.

Quantizers that edit a float file leave the float operator's version in it. These are the versions in which
TensorFlow Lite (tensorflow/lite/tools/versioning/op_version.cc) introduced each operator's integer and hybrid
forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_VERSIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {  # with int8 and with int16 activations
        "ADD": (2, 3),
        "AVERAGE_POOL_2D": (2, 3),
        "BATCH_MATMUL": (2, 3),
        "CONCATENATION": (2, 3),
        "CONV_2D": (3, 4),
        "DEPTHWISE_CONV_2D": (3, 5),
        "EQUAL": (2, 4),
        "FULLY_CONNECTED": (4, 7),
        "GATHER": (2, 4),
        "GATHER_ND": (1, 3),
        "GELU": (2, 1),
        "LEAKY_RELU": (1, 2),
        "LOGISTIC": (2, 3),
        "LOG_SOFTMAX": (2, 1),
        "MAXIMUM": (2, 4),
        "MAX_POOL_2D": (2, 3),
        "MEAN": (2, 3),
        "MINIMUM": (2, 4),
        "MIRROR_PAD": (2, 3),
        "MUL": (2, 4),
        "NOT_EQUAL": (2, 1),
        "PACK": (2, 3),
        "PAD": (2, 3),
        "PADV2": (2, 3),
        "REDUCE_MAX": (2, 3),
        "REDUCE_MIN": (2, 3),
        "RELU": (2, 3),
        "RELU6": (2, 1),
        "RESIZE_BILINEAR": (2, 4),
        "RESIZE_NEAREST_NEIGHBOR": (2, 4),
        "RSQRT": (2, 3),
        "SELECT": (2, 1),
        "SLICE": (2, 4),
        "SOFTMAX": (2, 3),
        "SPACE_TO_DEPTH": (2, 1),
        "SPLIT": (2, 4),
        "SQUARED_DIFFERENCE": (2, 1),
        "STRIDED_SLICE": (2, 1),
        "SUB": (2, 5),
        "SUM": (2, 1),
        "TANH": (2, 3),
        "TRANSPOSE": (2, 5),
        "TRANSPOSE_CONV": (2, 3),
        "UNPACK": (2, 4),
    }
)
_INT4_WEIGHTS: Mapping[str, int] = MappingProxyType({"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 10})
_HYBRID_VERSIONS: Mapping[str, int] = MappingProxyType(
    {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12}  # float activations, int8 weights per channel
)
_TYPES = schema.TensorType
_NAMES: Mapping[int, str] = MappingProxyType(
    {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
)


def version_of(builtin: int, written: int, operator: Any, subgraph: Any) -> int:
    """The version that `operator` needs.

    Args:
        written: the version in the file, for its other features; lower than what its types need, or higher.
    """
    name = _NAMES.get(builtin, "")
    if name in ("QUANTIZE", "DEQUANTIZE"):
        return _conversion(name, subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.outputs[0]])
    source = _input_type(operator, subgraph, 1 if name == "SPLIT" else 0)
    weights = _input_type(operator, subgraph, 1)
    if source == _TYPES.INT16:
        needed = _VERSIONS.get(name, (1, 1))[1]
    elif source == _TYPES.INT8:
        needed = _int8(name, operator, subgraph, weights)
    elif source == _TYPES.FLOAT32 and weights == _TYPES.INT8 and name in _HYBRID_VERSIONS:
        needed = _HYBRID_VERSIONS[name]
    else:
        return written
    return max(needed, _feature_version(name, written))


def _conversion(name: str, source: Any, target: Any) -> int:
    if name == "QUANTIZE":
        return 2 if target.type == _TYPES.INT16 else 1
    if source.type == _TYPES.INT4:
        return 6
    if source.type in (_TYPES.INT16, _TYPES.FLOAT16):
        return 3
    scales = source.quantization.scale if source.quantization is not None else None
    per_channel = scales is not None and len(scales) > 1
    return 1 if source.type != _TYPES.INT8 else 5 if per_channel else 2


def _int8(name: str, operator: Any, subgraph: Any, weights: int | None) -> int:
    options = operator.builtinOptions
    if weights == _TYPES.INT4 and name in _INT4_WEIGHTS:
        return _INT4_WEIGHTS[name]
    if name == "FULLY_CONNECTED":
        if sum(1 for i in operator.inputs if i >= 0) == 2:
            return 6
        return 5 if options is not None and options.keepNumDims else 4
    if (name == "TRANSPOSE_CONV" and len(operator.inputs) == 4) or (
        name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR") and options is not None and options.halfPixelCenters
    ):
        return 3
    if name == "CONV_2D" and _grouped(operator, subgraph):
        return 6
    return _VERSIONS.get(name, (1, 1))[0]


def _input_type(operator: Any, subgraph: Any, position: int) -> int | None:
    if position >= len(operator.inputs) or operator.inputs[position] < 0:
        return None
    return int(subgraph.tensors[operator.inputs[position]].type)


def _feature_version(name: str, written: int) -> int:
    """What of the float file's version still applies: not its hybrid kernels'."""
    return 1 if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") else written


def _grouped(operator: Any, subgraph: Any) -> bool:
    source, weights = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.inputs[1]]
    return bool(source.shape[3] != weights.shape[3])
