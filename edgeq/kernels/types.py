"""Element types as rules name them, and what they are in C."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgeq.graph import DType

INT8 = (DType.INT8,)
INT16 = (DType.INT16,)
INT32 = (DType.INT32,)
INT64 = (DType.INT64,)
FLOAT = (DType.FLOAT32,)
BOOL = (DType.BOOL,)
INDEX = (DType.INT32, DType.INT64)
MOVED = (DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.UINT8, DType.BOOL, DType.FLOAT32)
"""What operators that move elements take."""

SUFFIX: Mapping[DType, str] = MappingProxyType(
    {
        DType.INT8: "s8",
        DType.INT16: "s16",
        DType.INT32: "s32",
        DType.INT64: "s64",
        DType.UINT8: "u8",
        DType.BOOL: "b8",
        DType.FLOAT32: "f32",
    }
)
"""As kernels' names end."""

LIMITS: Mapping[DType, tuple[int, int]] = MappingProxyType(
    {
        DType.INT8: (-(1 << 7), (1 << 7) - 1),
        DType.INT16: (-(1 << 15), (1 << 15) - 1),
        DType.INT32: (-(1 << 31), (1 << 31) - 1),
        DType.UINT8: (0, 255),
    }
)
