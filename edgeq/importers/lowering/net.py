"""A float network on its way into a `.tflite`: named values, operators in order, nothing of the file format yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor.

    Attributes:
        dtype: numpy's name of the element type.
        data: constants only.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    data: Array | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Step:
    """An operator of TensorFlow Lite.

    Attributes:
        kind: the builtin's name, `CONV_2D`.
        inputs: value names; "" where an optional one is absent.
        options: by the schema's attribute names (`strideW`, `padding`), values as the schema has them.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Net:
    """A network in execution order.

    Attributes:
        layouts: ends whose axes are in another order than in the model this was made from: value name → axes, so that
            this net's array is `original.transpose(axes)`.
    """

    values: Mapping[str, Value]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layouts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def kinds(self) -> list[str]:
        """The operators, in order."""
        return [step.kind for step in self.steps]


class NetWriter:
    """Collects the operators of a Net.

    Args:
        reserved: names that only `add` may use.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.values: dict[str, Value] = {}
        self.steps: list[Step] = []
        self._reserved = frozenset(reserved)

    def fresh(self, wish: str) -> str:
        """A name that no value has yet, like `wish`."""
        base = wish or "t"
        name, count = base, 1
        while name in self.values or name in self._reserved:
            name, count = f"{base}_{count}", count + 1
        return name

    def add(self, value: Value) -> str:
        """Take a value as it is, under its own name."""
        self.values[value.name] = value
        return value.name

    def value(self, shape: Sequence[int], dtype: str = "float32", name: str = "") -> str:
        """A new value that some operator will write."""
        return self.add(Value(self.fresh(name), tuple(int(d) for d in shape), dtype))

    def constant(self, data: Array | Sequence[int], name: str = "constant") -> str:
        """A new constant; int64 and float64 become 32 bits wide."""
        array = narrowed(np.asarray(data))
        return self.add(Value(self.fresh(name), array.shape, array.dtype.name, array))

    def op(
        self,
        kind: str,
        inputs: Iterable[str],
        shape: Sequence[int],
        dtype: str = "float32",
        *,
        name: str = "",
        **options: Any,
    ) -> str:
        """A new operator with one output; gives the output's name."""
        output = self.value(shape, dtype, name or kind.lower())
        self.steps.append(Step(kind, tuple(inputs), (output,), options))
        return output

    def ops(
        self, kind: str, inputs: Iterable[str], shapes: Sequence[Sequence[int]], dtype: str, name: str, **options: Any
    ) -> list[str]:
        """A new operator with several outputs."""
        outputs = [self.value(shape, dtype, name) for shape in shapes]
        self.steps.append(Step(kind, tuple(inputs), tuple(outputs), options))
        return outputs

    def reshape(self, source: str, shape: Sequence[int], name: str = "") -> str:
        """`source` in another shape: itself where it has it already, a constant where it is one."""
        value = self.values[source]
        wanted = tuple(int(d) for d in shape)
        if value.shape == wanted:
            return source
        if value.data is not None:
            return self.constant(value.data.reshape(wanted), name or value.name)
        target = self.constant(np.array(wanted, np.int32), "shape")
        return self.op("RESHAPE", [source, target], wanted, value.dtype, name=name, newShape=list(wanted))

    def transpose(self, source: str, axes: Sequence[int], name: str = "") -> str:
        """`source` with its axes in another order."""
        value = self.values[source]
        order = tuple(int(a) for a in axes)
        if order == tuple(range(len(order))):
            return source
        if value.data is not None:
            return self.constant(np.ascontiguousarray(value.data.transpose(order)), name or value.name)
        shape = [value.shape[a] for a in order]
        return self.op(
            "TRANSPOSE", [source, self.constant(np.array(order, np.int32), "axes")], shape, value.dtype, name=name
        )


_NARROWER = {"int64": "int32", "float64": "float32", "float16": "float32", "uint64": "int32", "uint32": "int32"}


def narrow_type(dtype: str) -> str:
    """The element type that stands for `dtype` in the `.tflite`."""
    return _NARROWER.get(dtype, dtype)


def narrowed(array: Array) -> Array:
    """The array in the type that stands for its own; ONNX's "to the end" bounds of int64 are kept at the limit."""
    wanted = narrow_type(array.dtype.name)
    if wanted == array.dtype.name:
        return array
    if wanted == "int32":
        limits = np.iinfo(np.int32)
        return np.clip(array, limits.min, limits.max).astype(np.int32)
    return array.astype(wanted)
