"""Read a `.tflite` file from any producer into a Graph.

The schema's generated accessors do the parsing. Two things protect against hostile files: every access
is bounds-checked by Python itself, and the elements visited are counted against the file's size, so that
offsets which share one table a million times end in an error rather than in hours.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq.errors import ModelFileError
from edgeq.graph import DType, Graph, Op, QuantParams, Tensor, verify
from edgeq.tflite import variables
from edgeq.tflite.nested import read_nested
from edgeq.tflite.options import enum_names, read_options

_DAMAGE = (
    struct.error,
    ValueError,
    IndexError,
    TypeError,
    KeyError,
    OverflowError,
    AttributeError,
    MemoryError,
)
_MAX_RANK = 16
_TABLE_BYTES = {"tensor": 40, "operator": 24, "operator code": 8}
"""Less than what any writer needs for one: its offset in the list, table, lists, and a tensor's name and buffer."""
_LOOKS_LIKE = (
    (b"\x89HDF\r\n\x1a\n", "a Keras HDF5 file", "convert it first: edgeq convert"),
    (b"PK\x03\x04", "a zip archive (a .keras file?)", "convert it first: edgeq convert"),
    (b"\x7fELF", "a program", "name the .tflite file"),
    (b"\x08", "perhaps an ONNX or SavedModel protobuf", "convert it first: edgeq convert"),
)


def read(path: Path | str) -> Graph:
    """Read a file.

    Raises:
        ModelFileError: missing, not a `.tflite`, truncated or inconsistent; says what and where.
    """
    path = Path(path)
    return parse(load(path), str(path), path.stem)


def load(path: Path) -> bytes:
    """The bytes of a file, for who needs them beside the graph: `parse` them, so that the two are one file's.

    Raises:
        ModelFileError: missing, a folder, or not readable.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise ModelFileError(
            "is a folder", where=str(path), next_step="a SavedModel? convert it first: edgeq convert"
        ) from None
    except OSError as failed:
        raise ModelFileError(
            f"can't be read: {failed.strerror}", where=str(path), next_step="check the path"
        ) from failed


def parse(data: bytes, source: str = "", name: str = "model") -> Graph:
    """Read the bytes of a `.tflite`.

    Args:
        source: the path they came from, for messages.
        name: Graph.name.

    Raises:
        ModelFileError: not a `.tflite`, truncated or inconsistent; says what and where.
    """
    where = source or name
    _check_magic(data, where)
    place = ["the file's root"]
    try:
        graph = _Reader(data, source, name, place).graph()
    except _DAMAGE as broken:
        raise ModelFileError(
            f"is damaged: {place[0]} can't be read ({type(broken).__name__}: {broken})",
            where=where,
            next_step="export or download the model again",
            place=place[0],
            file_bytes=len(data),
        ) from broken
    verify(graph)
    nested = read_nested(data, graph)
    return graph if nested is None else replace(graph, nested=nested)


def _check_magic(data: bytes, where: str) -> None:
    if len(data) >= 8 and data[4:8] == b"TFL3":
        return
    for magic, what, step in _LOOKS_LIKE:
        if data.startswith(magic):
            raise ModelFileError(f"is not a .tflite file but {what}", where=where, next_step=step)
    what = "is empty" if not data else f"is not a .tflite file ({len(data)} bytes, no TFL3 mark at byte 4)"
    raise ModelFileError(what, where=where, next_step="name a .tflite file")


class _Reader:
    """One pass over one file; `place` says, for messages, where it is."""

    def __init__(self, data: bytes, source: str, name: str, place: list[str]) -> None:
        self.data = data
        self.source = source
        self.name = name
        self.place = place
        self.budget = 64 + len(data)  # nothing takes less than a byte
        self.unpacked: dict[int, npt.NDArray[np.generic]] = {}
        self.notices: list[str] = []

    def graph(self) -> Graph:
        model = schema.Model.GetRootAsModel(self.data, 0)
        if model.Version() != 3:
            raise ValueError(f"schema version {model.Version()}, expected 3")
        if model.SubgraphsLength() < 1:
            raise ValueError("it holds no subgraph")
        codes = tuple(self._codes(model))
        subgraph = model.Subgraphs(0)
        buffers = model.BuffersLength()
        tensors, ops = self._part(subgraph, model, codes, buffers)
        inputs = self._indices(subgraph, "Inputs")
        outputs = self._indices(subgraph, "Outputs")
        if variables.uses_variables(ops):
            others = [self._part(model.Subgraphs(i), model, codes, buffers) for i in range(1, model.SubgraphsLength())]
            self.place[0] = "the graph's variables"
            tensors, ops = variables.resolve(tensors, ops, [(tensors, ops), *others])
        elif model.SubgraphsLength() > 1:
            self.notices.append(f"holds {model.SubgraphsLength()} subgraphs; only the first is used")
        self.place[0] = "the graph"
        for end in (*inputs, *outputs):
            if not 0 <= end < len(tensors):
                raise ValueError(f"its ends name tensor {end}, but there are {len(tensors)}")
        frozen = [tensors[i].name for i in inputs if tensors[i].shape_signature[:1] == (-1,)]
        if frozen:
            self.notices.append(f"the open batch dimension of {', '.join(frozen)} is frozen to 1")
        return Graph(
            name=self.name,
            source=self.source,
            sha256=hashlib.sha256(self.data).hexdigest(),
            file_bytes=len(self.data),
            tensors=tuple(tensors),
            ops=tuple(ops),
            inputs=inputs,
            outputs=outputs,
            notices=tuple(self.notices),
        )

    def _part(
        self, subgraph: Any, model: Any, codes: tuple[tuple[str, int, str], ...], buffers: int
    ) -> tuple[list[Tensor], list[Op]]:
        tensors = [
            self._tensor(i, t, model, buffers)
            for i, t in self._each("tensor", subgraph.TensorsLength, subgraph.Tensors)
        ]
        ops = [self._op(i, o, codes) for i, o in self._each("operator", subgraph.OperatorsLength, subgraph.Operators)]
        return tensors, ops

    def _spend(self, count: int) -> None:
        self.budget -= count
        if count < 0 or self.budget < 0:
            raise ValueError(f"its lists are longer than a file of {len(self.data)} bytes can hold")

    def _each(self, what: str, length: Callable[[], int], get: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
        self.place[0] = f"the list of {what}s"
        count = length()
        self._spend(count * _TABLE_BYTES[what])
        for i in range(count):
            self.place[0] = f"{what} {i}"
            yield i, get(i)

    def _codes(self, model: Any) -> Iterator[tuple[str, int, str]]:
        names = enum_names("BuiltinOperator")
        for _, code in self._each("operator code", model.OperatorCodesLength, model.OperatorCodes):
            # Codes above 126 are only in the newer field; older files have only the older one.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = (code.CustomCode() or b"").decode(errors="replace")
            self._spend(len(custom))
            yield names.get(number, f"BUILTIN {number}"), code.Version(), custom

    def _indices(self, table: Any, field: str) -> tuple[int, ...]:
        count = getattr(table, field + "Length")()
        self._spend(count)
        if count == 0:
            return ()
        values: npt.NDArray[np.int32] = getattr(table, field + "AsNumpy")()
        return tuple(int(v) for v in values)

    def _op(self, index: int, op: Any, codes: tuple[tuple[str, int, str], ...]) -> Op:
        code = op.OpcodeIndex()
        if code >= len(codes):
            raise ValueError(f"operator code {code} of {len(codes)}")
        kind, version, custom = codes[code]
        self.place[0] = f"operator {index} ({custom or kind})"
        options = read_options(op.BuiltinOptions(), op.BuiltinOptionsType())
        self._spend(sum(len(v) if isinstance(v, tuple | str) else 1 for v in options.values()))
        return Op(
            index=index,
            kind=kind,
            version=version,
            inputs=self._indices(op, "Inputs"),
            outputs=self._indices(op, "Outputs"),
            options=options,
            custom_name=custom if kind == "CUSTOM" else "",
        )

    def _tensor(self, index: int, tensor: Any, model: Any, buffers: int) -> Tensor:
        name = (tensor.Name() or b"").decode(errors="replace")
        self._spend(len(name) // 16)
        self.place[0] = f"tensor {index} ('{name}')"
        dtype_name = enum_names("TensorType").get(tensor.Type(), "")
        try:
            dtype = DType(dtype_name)
        except ValueError:
            raise ValueError(f"element type {dtype_name or tensor.Type()} is not known") from None
        written = self._indices(tensor, "Shape")
        signature = self._indices(tensor, "ShapeSignature")
        if len(written) > _MAX_RANK:
            raise ValueError(f"{len(written)} dimensions")
        shape = tuple(1 if d == -1 else d for d in written)
        buffer = tensor.Buffer()
        if buffer > 0 and buffer >= buffers:
            raise ValueError(f"buffer {buffer} of {buffers}")
        if tensor.ExternalBuffer():
            raise ValueError("its data are in another file; export the model as one")
        raw = self._raw(model.Buffers(buffer)) if buffer > 0 else None
        return Tensor(
            index=index,
            name=name,
            shape=shape,
            dtype=dtype,
            quant=self._quant(index, name, tensor.Quantization(), shape),
            data=None if raw is None else self._elements(raw, dtype, shape),
            shape_signature=signature,
            is_variable=bool(tensor.IsVariable()),
        )

    def _raw(self, buffer: Any) -> npt.NDArray[np.uint8] | None:
        """A buffer's bytes: in the flatbuffer, or behind it (files above 2 GB); None when empty."""
        offset, size = buffer.Offset(), buffer.Size()
        if offset > 1:
            if offset + size > len(self.data):
                raise ValueError(f"its data end at byte {offset + size} of {len(self.data)}")
            if size == 0:
                return None
            return np.frombuffer(self.data, np.uint8, size, offset)
        if buffer.DataLength() == 0:
            return None
        data: npt.NDArray[np.uint8] = buffer.DataAsNumpy()
        return data

    def _elements(self, raw: npt.NDArray[np.uint8], dtype: DType, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        """Constant data as elements in their shape: a read-only view of the file, as many tensors may share one."""
        if dtype.bits == 0 or dtype is DType.BFLOAT16:
            return raw
        count = prod(shape)
        expected = -(-count * dtype.bits // 8)
        if raw.size != expected or min(shape, default=0) < 0:
            raise ValueError(f"{raw.size} bytes of data, but {dtype.value} of shape {shape} takes {expected}")
        if dtype.bits < 8:
            return self._sub_byte(raw, dtype.bits)[:count].reshape(shape)
        return np.frombuffer(raw, dtype.numpy.newbyteorder("<")).reshape(shape)

    def _sub_byte(self, raw: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.generic]:
        """A buffer's elements unpacked; once, however many tensors name it."""
        key = raw.ctypes.data * 8 + bits
        if key not in self.unpacked or self.unpacked[key].size != raw.size * 8 // bits:
            self._spend(raw.size)
            values = _unpack(raw, bits)
            values.setflags(write=False)
            self.unpacked[key] = values
        return self.unpacked[key]

    def _quant(self, index: int, name: str, params: Any, shape: tuple[int, ...]) -> QuantParams | None:
        if params is None or params.ScaleLength() == 0:
            return None
        self._spend(params.ScaleLength() + params.ZeroPointLength())
        scale = np.array(params.ScaleAsNumpy(), np.float32)
        zeros = params.ZeroPointLength()
        zero_point = np.array(params.ZeroPointAsNumpy(), np.int64) if zeros else np.zeros(scale.shape, np.int64)
        if zero_point.size == 1 and scale.size > 1:
            zero_point = np.repeat(zero_point, scale.size)
        axis = params.QuantizedDimension()
        if scale.size == 1:
            axis = 0
        elif not 0 <= axis < len(shape) or shape[axis] != scale.size:
            fitting = [d for d, length in enumerate(shape) if length == scale.size]
            if len(fitting) == 1:  # seen in the wild: a bias with quantized_dimension 3 on one dimension
                self.notices.append(
                    f"tensor {index} ('{name}') says its {scale.size} scales run along dimension {axis} of "
                    f"{shape}; only dimension {fitting[0]} fits and is used"
                )
                axis = fitting[0]
        scale.setflags(write=False)
        zero_point.setflags(write=False)
        return QuantParams(scale, zero_point, axis)


def _unpack(raw: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.generic]:
    """Signed 2- or 4-bit elements, the lowest bits first, as int8."""
    per_byte = 8 // bits
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    fields = (raw[:, None] >> shifts[None, :]) & ((1 << bits) - 1)
    signed = fields.astype(np.int8)
    return np.where(signed >= 1 << (bits - 1), signed - (1 << bits), signed).astype(np.int8).reshape(-1)
