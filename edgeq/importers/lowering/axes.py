"""What moves data and computes nothing: shapes, slices, joins."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeq.importers.lowering.context import Lowering, Rule

_PAD_MODES = {"reflect": schema.MirrorPadMode.REFLECT}


def reshape(at: Lowering) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the result's shape is known."""
    at.give(at.reshape(at.input(), at.out_shape()))


def transpose(at: Lowering) -> None:
    """TRANSPOSE."""
    rank = len(at.shape())
    at.give(at.transpose(at.input(), at.node.integers("perm") or list(range(rank))[::-1]))


def concat(at: Lowering) -> None:
    """CONCATENATION; empty inputs are left out."""
    values = [at.input(i) for i in range(len(at.node.inputs))]
    values = [v for v in values if 0 not in at.shape_of(v)] or values[:1]
    at.give(at.concatenate(values, at.node.integer("axis") % len(at.out_shape())))


def split(at: Lowering) -> None:
    """SPLIT_V."""
    axis = at.node.integer("axis") % len(at.shape())
    sizes = [at.out_shape(i)[axis] for i in range(len(at.node.outputs))]
    for position, part in enumerate(at.split(at.input(), sizes, axis)):
        at.give(part, position)


def slice_(at: Lowering) -> None:
    """STRIDED_SLICE; backwards a REVERSE_V2 too."""
    shape = at.shape()
    rank = len(shape)
    starts = at.node.integers("starts") or [int(v) for v in np.ravel(at.known(1, "its start"))]
    ends = at.node.integers("ends") or [int(v) for v in np.ravel(at.known(2, "its end"))]
    axes = at.axes(3, rank) or list(range(len(starts)))
    steps = [int(v) for v in np.ravel(at.known(4, "its step"))] if at.node.has(4) else [1] * len(starts)
    value = at.input()
    begin, end, stride = [0] * rank, list(shape), [1] * rank
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        first, last, step = slice(first, last, step).indices(shape[axis])
        if step < 0:
            value = at.op("REVERSE_V2", [value, at.integers([axis])], at.shape_of(value))
            first, last, step = shape[axis] - 1 - first, shape[axis] - 1 - last, -step
        begin[axis], end[axis], stride[axis] = first, last, step
    at.give(at.slice(value, begin, end, stride))


def gather(at: Lowering) -> None:
    """One place, or places in a row, of an axis: a slice. Else GATHER."""
    shape = at.shape()
    axis = at.node.integer("axis") % len(shape)
    places = at.constant(1)
    if places is not None and places.size and 0 not in shape:
        flat = [int(p) % shape[axis] for p in places.reshape(-1)]
        if flat == list(range(flat[0], flat[0] + len(flat))):
            begin, end = [0] * len(shape), list(shape)
            begin[axis], end[axis] = flat[0], flat[0] + len(flat)
            return at.give(at.reshape(at.slice(at.input(), begin, end), at.out_shape()))
        indices = at.integers(np.array(flat, np.int32).reshape(places.shape))
    else:
        indices = at.input(1)
    return at.give(at.op("GATHER", [at.input(), indices], at.out_shape(), axis=axis, batchDims=0))


def expand(at: Lowering) -> None:
    """BROADCAST_TO; constants are written out."""
    found, shape = at.constant(0), at.out_shape()
    if found is not None:
        return at.give(at.context.writer.constant(np.broadcast_to(found, shape).copy(), at.node.outputs[0]))
    if at.shape() == shape:
        return at.give(at.input())
    value = at.reshape(at.input(), (1,) * (len(shape) - len(at.shape())) + at.shape())
    return at.give(at.op("BROADCAST_TO", [value, at.integers(shape)], shape))


def tile(at: Lowering) -> None:
    """TILE."""
    at.give(at.op("TILE", [at.input(), at.integers(at.known(1, "its count"))], at.out_shape()))


def pad(at: Lowering) -> None:
    """PAD, PADV2, MIRROR_PAD; negative padding cuts."""
    rank = len(at.shape())
    pads = at.node.integers("pads") or at.node.integers("paddings")
    if pads is None:
        pads = [int(v) for v in np.ravel(at.known(1, "its padding"))]
    axes = at.axes(3, rank) or list(range(rank))
    rows = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        rows[axis] = pads[place], pads[place + len(axes)]
    value = at.slice(
        at.input(),
        [max(0, -b) for b, _ in rows],
        [d - max(0, -e) for d, (_, e) in zip(at.shape(), rows, strict=True)],
    )
    rows = [(max(0, b), max(0, e)) for b, e in rows]
    mode = at.node.text("mode", "constant")
    if mode == "constant":
        fill = at.constant(2)
        at.give(at.pad(value, rows, float(fill.reshape(-1)[0]) if fill is not None else at.node.number("value", 0.0)))
    elif mode in _PAD_MODES and any(map(any, rows)):
        table = at.integers(np.array(rows, np.int32))
        at.give(at.op("MIRROR_PAD", [value, table], at.out_shape(), mode=_PAD_MODES[mode]))
    elif mode == "edge":
        at.give(_edge(at, value, rows))
    else:
        raise at.unsupported(f"there is no {mode} padding in TensorFlow Lite")


def _edge(at: Lowering, value: str, rows: list[tuple[int, int]]) -> str:
    """The first and the last row of each axis repeated: a mirrored edge of one row at a time."""
    left = [list(row) for row in rows]
    while any(map(any, left)):
        now = [(min(b, 1), min(e, 1)) for b, e in left]
        shape = [d + b + e for d, (b, e) in zip(at.shape_of(value), now, strict=True)]
        table = at.integers(np.array(now, np.int32))
        value = at.op("MIRROR_PAD", [value, table], shape, mode=schema.MirrorPadMode.SYMMETRIC)
        left = [[b - n, e - m] for (b, e), (n, m) in zip(left, now, strict=True)]
    return value


def constant(at: Lowering) -> None:
    """A node that holds a value."""
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if key in at.node.attributes:
            return at.give(at.context.writer.constant(np.asarray(at.node.attributes[key]), at.node.outputs[0]))
    raise at.unsupported("it holds something that isn't numbers")


def constant_of_shape(at: Lowering) -> None:
    """A constant filled with one value."""
    value = at.node.attributes.get("value", np.zeros(1, np.float32))
    filled = np.full(at.out_shape(), np.ravel(value)[0], np.asarray(value).dtype)
    at.give(at.context.writer.constant(filled, at.node.outputs[0]))


def shape(at: Lowering) -> None:
    """Known, since every dimension is."""
    first, last, _ = slice(at.node.integer("start"), at.node.attributes.get("end")).indices(len(at.shape()))
    at.give(at.integers(at.shape()[first:last]))


RULES: dict[str, Rule] = {
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Flatten": reshape,
    "Gather": gather,
    "Pad": pad,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": reshape,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
