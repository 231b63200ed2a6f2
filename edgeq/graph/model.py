"""The frozen parts of a Graph. Names are TensorFlow Lite's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgeq.graph.nested import Nested


class DType(Enum):
    """Element types by their TensorFlow Lite names."""

    FLOAT32 = "FLOAT32"
    FLOAT16 = "FLOAT16"
    FLOAT64 = "FLOAT64"
    BFLOAT16 = "BFLOAT16"
    INT2 = "INT2"
    INT4 = "INT4"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    BOOL = "BOOL"
    STRING = "STRING"
    COMPLEX64 = "COMPLEX64"
    COMPLEX128 = "COMPLEX128"
    RESOURCE = "RESOURCE"
    VARIANT = "VARIANT"

    @property
    def bits(self) -> int:
        """Bits per element; 0 where elements have no fixed size (STRING, RESOURCE, VARIANT)."""
        return _BITS[self]

    @property
    def is_float(self) -> bool:
        """Whether it is one of the floating-point types."""
        return self in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64, DType.BFLOAT16)

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy type that holds one element (INT4 and INT2 are held unpacked, in int8).

        Raises:
            TypeError: numpy has none (STRING, RESOURCE, VARIANT, BFLOAT16).
        """
        if self in (DType.INT4, DType.INT2):
            return np.dtype(np.int8)
        if self in (DType.STRING, DType.RESOURCE, DType.VARIANT, DType.BFLOAT16):
            raise TypeError(f"numpy has no type for {self.value}")
        return np.dtype(self.value.lower() if self is not DType.BOOL else "bool")


_BITS: Mapping[DType, int] = MappingProxyType(
    {
        DType.FLOAT32: 32,
        DType.FLOAT16: 16,
        DType.FLOAT64: 64,
        DType.BFLOAT16: 16,
        DType.INT2: 2,
        DType.INT4: 4,
        DType.INT8: 8,
        DType.INT16: 16,
        DType.INT32: 32,
        DType.INT64: 64,
        DType.UINT8: 8,
        DType.UINT16: 16,
        DType.UINT32: 32,
        DType.UINT64: 64,
        DType.BOOL: 8,
        DType.STRING: 0,
        DType.COMPLEX64: 64,
        DType.COMPLEX128: 128,
        DType.RESOURCE: 0,
        DType.VARIANT: 0,
    }
)


@dataclass(frozen=True, eq=False)
class QuantParams:
    """Affine quantization: real = scale[c] * (q - zero_point[c]).

    Attributes:
        scale: float32, shape (1,) per tensor or (channels,) per channel; read-only.
        zero_point: int64, the same shape; read-only.
        quantized_dimension: the axis that the channels run along; 0 when per tensor.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    quantized_dimension: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor.

    Attributes:
        index: its number in the file's subgraph, also in Graph.tensors.
        shape: every dimension ≥ 0 and known (a dynamic batch is frozen to 1 by the reader).
        shape_signature: as in the file: -1 where the producer left a dimension open; () if absent.
        is_variable: it keeps its value from one inference to the next.
        initial: a variable's value after a reset; zero (its zero point, of int8) without.
        data: constants only: elements of `dtype.numpy` in `shape`, read-only (INT4/INT2 unpacked).
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: QuantParams | None = None
    data: npt.NDArray[np.generic] | None = None
    shape_signature: tuple[int, ...] = ()
    is_variable: bool = False
    initial: npt.NDArray[np.generic] | None = None

    @property
    def short_name(self) -> str:
        """The name as messages show it: converters join the names of all fused layers by ';', the first says
        enough, and of a long path its end does."""
        first = self.name.split(";", 1)[0]
        return first if len(first) <= 48 else "…" + first[-47:]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes in memory (INT4 and INT2 packed)."""
        return -(-self.elements * self.dtype.bits // 8)

    @property
    def is_constant(self) -> bool:
        """Whether its values are in the file."""
        return self.data is not None


@dataclass(frozen=True, eq=False)
class Op:
    """One operator.

    Attributes:
        index: its place in the execution order.
        kind: the builtin's name (`CONV_2D`), or `CUSTOM`.
        version: the operator version the producer asked for.
        inputs: tensor indices; -1 where an optional one is absent.
        options: the builtin options, keys as in the schema in snake case (`stride_w`, `padding`);
            enum values by their names (`"SAME"`, `"RELU6"`).
        custom_name: for CUSTOM, the name it was registered under.
    """

    index: int
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    custom_name: str = ""

    def integer(self, name: str, default: int = 0) -> int:
        """The option `name` as an int."""
        value = self.options.get(name, default)
        return int(value) if isinstance(value, int | bool) else default

    def text(self, name: str, default: str = "") -> str:
        """The option `name` as a string, e.g. `padding` or `fused_activation_function`."""
        value = self.options.get(name, default)
        return value if isinstance(value, str) else default


@dataclass(frozen=True, eq=False)
class Graph:
    """A network in execution order.

    Attributes:
        name: a short name (the file's stem) for files and symbols derived from it.
        source: the path it was read from, "" when made in memory.
        sha256: hex digest of the `.tflite` bytes.
        file_bytes: length of those bytes.
        tensors: all tensors; Op.inputs and Op.outputs index it.
        inputs, outputs: tensor indices of the model's ends, in the file's order.
        notices: what was accepted though not quite right, one sentence each.
        nested: the precisions that its weights hold beside their own; None when they hold no others.
    """

    name: str
    source: str
    sha256: str
    file_bytes: int
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    notices: tuple[str, ...] = ()
    nested: Nested | None = None

    def tensor(self, index: int) -> Tensor:
        """The tensor with that index."""
        return self.tensors[index]

    def input_of(self, op: Op, position: int) -> Tensor | None:
        """The op's input at `position`, None where absent."""
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        return self.tensors[op.inputs[position]]

    def output_of(self, op: Op, position: int = 0) -> Tensor:
        """The op's output at `position`."""
        return self.tensors[op.outputs[position]]

    def label(self, op: Op) -> str:
        """`CONV_2D #7 (short name of its first output)`, as messages name a layer."""
        kind = op.custom_name or op.kind
        name = self.tensors[op.outputs[0]].short_name if op.outputs else ""
        return f"{kind} #{op.index}" + (f" ({name})" if name else "")
