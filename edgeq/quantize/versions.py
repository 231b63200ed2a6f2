"""Operator versions by type. A runtime looks an operator up by kind *and* version, and refuses newer ones.

Quantizers that edit a float file leave the float operator's version in it. These are the versions in which
TensorFlow Lite (tensorflow/lite/tools/versioning/op_version.cc, 2.14) introduced each operator's int8 form.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_INT8_VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "ADD": 2,
        "AVERAGE_POOL_2D": 2,
        "BATCH_MATMUL": 2,
        "CONCATENATION": 2,
        "CONV_2D": 3,
        "DEPTHWISE_CONV_2D": 3,
        "DEQUANTIZE": 2,
        "EQUAL": 2,
        "FULLY_CONNECTED": 4,
        "GATHER": 2,
        "LOGISTIC": 2,
        "LOG_SOFTMAX": 2,
        "MAXIMUM": 2,
        "MAX_POOL_2D": 2,
        "MEAN": 2,
        "MINIMUM": 2,
        "MUL": 2,
        "NOT_EQUAL": 2,
        "PACK": 2,
        "PAD": 2,
        "PADV2": 2,
        "RELU": 2,
        "RELU6": 2,
        "REDUCE_MAX": 2,
        "REDUCE_MIN": 2,
        "RESIZE_BILINEAR": 2,
        "RESIZE_NEAREST_NEIGHBOR": 2,
        "SLICE": 2,
        "SOFTMAX": 2,
        "SPACE_TO_DEPTH": 2,
        "SPLIT": 2,
        "STRIDED_SLICE": 2,
        "SUB": 2,
        "SUM": 2,
        "TANH": 2,
        "TRANSPOSE": 2,
        "TRANSPOSE_CONV": 2,
        "UNPACK": 2,
    }
)
_NAMES: Mapping[int, str] = MappingProxyType(
    {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
)


def version_of(builtin: int, written: int, operator: Any, subgraph: Any) -> int:
    """The version that `operator` needs.

    Args:
        written: the version in the file, for its other features; lower than what int8 needs, or higher.
    """
    name = _NAMES.get(builtin, "")
    first = next((i for i in [*operator.inputs] if i >= 0), None)
    if first is None or subgraph.tensors[first].type != schema.TensorType.INT8:
        return written
    needed = _INT8_VERSIONS.get(name, 1)
    options = operator.builtinOptions
    if name == "FULLY_CONNECTED":
        if options is not None and options.keepNumDims:
            needed = 5
        if sum(1 for i in operator.inputs if i >= 0) == 2:
            needed = 6
    elif (name == "TRANSPOSE_CONV" and len(operator.inputs) == 4) or (
        name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR") and options is not None and options.halfPixelCenters
    ):
        needed = 3
    elif name == "CONV_2D" and _grouped(operator, subgraph):
        needed = 6
    return max(needed, _feature_version(name, written))


def _feature_version(name: str, written: int) -> int:
    """What of the float file's version still applies: not its hybrid kernels'."""
    return 1 if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") else written


def _grouped(operator: Any, subgraph: Any) -> bool:
    source, weights = subgraph.tensors[operator.inputs[0]], subgraph.tensors[operator.inputs[1]]
    return bool(source.shape[3] != weights.shape[3])
