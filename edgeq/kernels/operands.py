"""An operator's input as an argument of its kernel: a pointer into the arena, or a constant in flash."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from edgeq.graph import DType, Tensor
from edgeq.kernels.contract import Constant

CType = Literal["int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "float"]

C_TYPES: Mapping[DType, CType] = MappingProxyType(
    {
        DType.INT8: "int8_t",
        DType.UINT8: "uint8_t",
        DType.BOOL: "uint8_t",
        DType.INT16: "int16_t",
        DType.INT32: "int32_t",
        DType.INT64: "int64_t",
        DType.FLOAT32: "float",
    }
)


def constant_of(tensor: Tensor, name: str) -> Constant:
    """A constant tensor's elements as they stand in the file."""
    assert tensor.data is not None
    data = tensor.data.astype(tensor.dtype.numpy.newbyteorder("<")).tobytes()
    return Constant(name, C_TYPES[tensor.dtype], data)


def operand(tensor: Tensor, position: int) -> tuple[str, tuple[Constant, ...]]:
    """The C expression for the input at `position`, and the constant that it names, if it does."""
    if tensor.data is None:
        return f"{{in{position}}}", ()
    name = f"operand{position}"
    return f"{{const:{name}}}", (constant_of(tensor, name),)
