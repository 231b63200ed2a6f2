"""A `.tflite` as the schema's mutable objects, for the few places that edit a file, and back.

Read a file with `edgeq.tflite.parse` first: unpacking trusts the lengths written in it.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq.errors import ModelFileError


def unpack(data: bytes, where: str = "") -> Any:
    """The file as a `schema.ModelT`, with buffers that lie behind the flatbuffer brought inside.

    Raises:
        ModelFileError: parts that a Graph has no use for (metadata, signatures) are damaged.
    """
    try:
        model: Any = schema.ModelT.InitFromPackedBuf(data, 0)
    except Exception as damaged:  # the generated code raises whatever a wrong offset leads to
        raise ModelFileError(
            f"is damaged ({type(damaged).__name__}: {damaged})",
            where=where,
            next_step="export the model again",
        ) from damaged
    for buffer in model.buffers:
        if (buffer.offset or 0) > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack(model: Any) -> bytes:
    """A `schema.ModelT` as the bytes of a file; the same bytes for the same content."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def constant_buffer(model: Any, values: npt.NDArray[Any]) -> int:
    """Add `values` to a `schema.ModelT` as one more buffer, and give its index."""
    buffer = schema.BufferT()
    little_endian = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    buffer.data = np.frombuffer(little_endian.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def drop_unused_buffers(model: Any) -> None:
    """Leave the buffers out that neither a tensor nor a metadata entry has, in place."""
    kept, places = [model.buffers[0]], {0: 0}
    for holder in (*(t for g in model.subgraphs for t in g.tensors), *(model.metadata or [])):
        old = holder.buffer or 0
        if old not in places:
            places[old] = len(kept)
            kept.append(model.buffers[old])
        holder.buffer = places[old]
    model.buffers = kept
