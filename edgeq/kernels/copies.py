"""Which blocks of elements TRANSPOSE, SLICE, SPLIT, SPACE_TO_DEPTH and their like copy, and when their shapes fit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels.contract import Call, Facts
from edgeq.kernels.elementwise import merged
from edgeq.kernels.strided_slice import Spans, spans_of

_RANK = 6
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Copy:
    """One block: its size, the steps and the first element on both sides, in elements."""

    size: Shape
    in_stride: Shape
    out_stride: Shape
    in_first: int = 0
    out_first: int = 0

    def call(self, pointer: str, output: int, item_bytes: int) -> Call:
        """As a call, in as few and as long loops as it takes."""
        lead = (0,) * (_RANK - len(self.size))
        size, (into, out) = merged(self.size, (*lead, *self.in_stride), (*lead, *self.out_stride))
        fields = {
            "size": _six(size, 1),
            "in_stride": _six(into, 0),
            "out_stride": _six(out, 0),
            "in_first": str(self.in_first),
            "out_first": str(self.out_first),
            "item_bytes": str(item_bytes),
        }
        arguments = (pointer, f"{{out{output}}}")
        return Call(arguments, "edgeq_copy_params", MappingProxyType(fields), "edgeq_copy")


def _six(values: Sequence[int], fill: int) -> str:
    return "{" + ", ".join(map(str, (fill,) * (_RANK - len(values)) + tuple(values))) + "}"


def steps(shape: Shape) -> Shape:
    """Elements from one index to the next in each dimension, row major."""
    return tuple(prod(shape[d + 1 :]) for d in range(len(shape)))


def whole(shape: Shape, in_stride: Shape, in_first: int = 0) -> Copy:
    """A block that fills the output, in its order."""
    return Copy(shape, in_stride, steps(shape), in_first)


def ints(tensor: Tensor | None) -> Shape:
    """A constant of whole numbers as a tuple."""
    assert tensor is not None and tensor.data is not None
    return tuple(int(v) for v in np.asarray(tensor.data, np.int64).reshape(-1))


def _two(graph: Graph, op: Op) -> tuple[Tensor, Tensor]:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    return inp, out


# ---- what each operator copies ----


def transpose_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of TRANSPOSE."""
    inp, out = _two(graph, op)
    order = ints(graph.input_of(op, 1))
    return (whole(out.shape, tuple(steps(inp.shape)[axis] for axis in order)),)


def permutation_fits(graph: Graph, op: Op) -> Facts | None:
    """The permutation {order} of an input {in_shape} doesn't give an output {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    order = ints(graph.input_of(op, 1))
    if sorted(order) == list(range(len(inp.shape))) and tuple(inp.shape[a] for a in order) == out.shape:
        return None
    return {"order": list(order), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def slice_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of SLICE."""
    inp, out = _two(graph, op)
    begin = ints(graph.input_of(op, 1))
    first = sum(b * s for b, s in zip(begin, steps(inp.shape), strict=True))
    return (whole(out.shape, steps(inp.shape), first),)


def slice_fits(graph: Graph, op: Op) -> Facts | None:
    """The slice from {begin} of size {size} of an input {in_shape} doesn't give an output {out_shape}: the file is
    damaged."""
    inp, out = _two(graph, op)
    begin, size = ints(graph.input_of(op, 1)), ints(graph.input_of(op, 2))
    if len(begin) == len(size) == len(inp.shape):
        made = tuple(d - b if s == -1 else s for d, b, s in zip(inp.shape, begin, size, strict=True))
        inside = all(b >= 0 and b + s <= d for d, b, s in zip(inp.shape, begin, made, strict=True))
        if inside and made == out.shape:
            return None
    return {"begin": list(begin), "size": list(size), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def _spans(graph: Graph, op: Op) -> Spans | None:
    inp = graph.input_of(op, 0)
    assert inp is not None
    begin, end, stride = (ints(graph.input_of(op, position)) for position in (1, 2, 3))
    return spans_of(inp.shape, begin, end, stride, op)


def strided_slice_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of STRIDED_SLICE."""
    inp, _ = _two(graph, op)
    spans = _spans(graph, op)
    assert spans is not None
    stride = tuple(s * n for s, n in zip(spans.stride, steps(inp.shape), strict=True))
    first = sum(b * n for b, n in zip(spans.begin, steps(inp.shape), strict=True))
    return (whole(spans.size, stride, first),)


def strided_slice_fits(graph: Graph, op: Op) -> Facts | None:
    """The slice of an input {in_shape} doesn't give an output {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    spans = _spans(graph, op)
    if spans is not None and spans.out_shape == out.shape:
        return None
    return {"in_shape": list(inp.shape), "out_shape": list(out.shape)}


def _outputs_along(graph: Graph, op: Op, position: int, axis: int) -> tuple[Copy, ...]:
    inp = graph.input_of(op, position)
    assert inp is not None
    copies, first = [], 0
    for index in op.outputs:
        shape = graph.tensors[index].shape
        copies.append(Copy(shape, steps(inp.shape), steps(shape), first * steps(inp.shape)[axis]))
        first += shape[axis]
    return tuple(copies)


def split_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of SPLIT."""
    inp = graph.input_of(op, 1)
    assert inp is not None
    return _outputs_along(graph, op, 1, ints(graph.input_of(op, 0))[0] % len(inp.shape))


def split_v_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of SPLIT_V."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    return _outputs_along(graph, op, 0, ints(graph.input_of(op, 2))[0] % len(inp.shape))


def _parts_fit(graph: Graph, op: Op, position: int, axis: Shape) -> Facts | None:
    inp = graph.input_of(op, position)
    assert inp is not None
    shapes = [graph.tensors[i].shape for i in op.outputs]
    facts = {"in_shape": list(inp.shape), "axis": list(axis), "shapes": [list(s) for s in shapes]}
    rank = len(inp.shape)
    if len(axis) != 1 or not -rank <= axis[0] < rank or any(len(s) != rank for s in shapes):
        return facts
    at = axis[0] % rank
    rest = {s[:at] + s[at + 1 :] for s in (*shapes, inp.shape)}
    return None if len(rest) == 1 and sum(s[at] for s in shapes) == inp.shape[at] else facts


def split_fits(graph: Graph, op: Op) -> Facts | None:
    """The input {in_shape} split along {axis} doesn't give outputs {shapes}: the file is damaged."""
    return _parts_fit(graph, op, 1, ints(graph.input_of(op, 0)))


def split_v_fits(graph: Graph, op: Op) -> Facts | None:
    """The input {in_shape} split along {axis} doesn't give outputs {shapes}: the file is damaged."""
    return _parts_fit(graph, op, 0, ints(graph.input_of(op, 2)))


def unpack_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of UNPACK."""
    inp, out = _two(graph, op)
    axis = op.integer("axis") % len(inp.shape)
    stride = steps(inp.shape)
    kept = stride[:axis] + stride[axis + 1 :]
    return tuple(Copy(out.shape, kept, steps(out.shape), i * stride[axis]) for i in range(len(op.outputs)))


def unpack_fits(graph: Graph, op: Op) -> Facts | None:
    """The input {in_shape} unpacked along {axis} doesn't give {count} outputs {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    axis, rank = op.integer("axis"), len(inp.shape)
    if -rank <= axis < rank and inp.shape[axis % rank] == len(op.outputs):
        at = axis % rank
        if all(graph.tensors[i].shape == inp.shape[:at] + inp.shape[at + 1 :] for i in op.outputs):
            return None
    return {"in_shape": list(inp.shape), "axis": axis, "count": len(op.outputs), "out_shape": list(out.shape)}


def space_to_depth_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of SPACE_TO_DEPTH."""
    inp, out = _two(graph, op)
    block = op.integer("block_size")
    n, h, w, _ = out.shape
    s = steps(inp.shape)
    size = (n, h, w, block, block, inp.shape[3])
    return (whole(size, (s[0], s[1] * block, s[2] * block, s[1], s[2], s[3])),)


def depth_to_space_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of DEPTH_TO_SPACE."""
    inp, out = _two(graph, op)
    block = op.integer("block_size")
    n, h, w, _ = inp.shape
    t = steps(out.shape)
    size = (n, h, w, block, block, out.shape[3])
    return (Copy(size, steps(size), (t[0], t[1] * block, t[2] * block, t[1], t[2], t[3])),)


def blocks_fit(graph: Graph, op: Op) -> Facts | None:
    """Blocks of {block}x{block} of an input {in_shape} don't give an output {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    block = op.integer("block_size")
    small, large = (out.shape, inp.shape) if op.kind == "SPACE_TO_DEPTH" else (inp.shape, out.shape)
    fits = len(small) == len(large) == 4 and block > 0 and small[0] == large[0]
    if fits and (small[1] * block, small[2] * block, small[3]) == (large[1], large[2], large[3] * block * block):
        return None
    return {"block": block, "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def reverse_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of REVERSE_V2."""
    inp, out = _two(graph, op)
    axes = {a % len(inp.shape) for a in ints(graph.input_of(op, 1))}
    stride = tuple(-s if d in axes else s for d, s in enumerate(steps(inp.shape)))
    first = sum((inp.shape[d] - 1) * steps(inp.shape)[d] for d in axes)
    return (whole(out.shape, stride, first),)


def reversal_fits(graph: Graph, op: Op) -> Facts | None:
    """The axes {axes} don't belong to an input {in_shape} with an output {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    axes, rank = ints(graph.input_of(op, 1)), len(inp.shape)
    if inp.shape == out.shape and all(-rank <= a < rank for a in axes):
        return None
    return {"axes": list(axes), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def broadcast_to_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of BROADCAST_TO."""
    inp, out = _two(graph, op)
    shape = (1,) * (len(out.shape) - len(inp.shape)) + inp.shape
    stride = tuple(0 if d == 1 else s for d, s in zip(shape, steps(shape), strict=True))
    return (whole(out.shape, stride),)


def shape_broadcasts(graph: Graph, op: Op) -> Facts | None:
    """The input {in_shape} doesn't broadcast to {out_shape}: the file is damaged."""
    inp, out = _two(graph, op)
    padded = (1,) * (len(out.shape) - len(inp.shape)) + inp.shape
    if len(padded) == len(out.shape) and all(a in (1, b) for a, b in zip(padded, out.shape, strict=True)):
        return None
    return {"in_shape": list(inp.shape), "out_shape": list(out.shape)}


def tile_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """The blocks of TILE."""
    inp, _ = _two(graph, op)
    repeats = ints(graph.input_of(op, 1))
    size, stride = [], []
    for times, length, step in zip(repeats, inp.shape, steps(inp.shape), strict=True):
        for n, s in ((times, 0), (length, step)):
            if n != 1:
                size.append(n)
                stride.append(s)
    return (whole(tuple(size) or (1,), tuple(stride) or (1,)),)


def tiles_fit(graph: Graph, op: Op) -> Facts | None:
    """The repeats {repeats} of an input {in_shape} don't give an output {out_shape}, or make more than six loops: the
    file is damaged or has too many dimensions."""
    inp, out = _two(graph, op)
    repeats = ints(graph.input_of(op, 1))
    loops = sum(1 for n in (*repeats, *inp.shape) if n != 1)
    made = tuple(r * d for r, d in zip(repeats, inp.shape, strict=False))
    if len(repeats) == len(inp.shape) and loops <= _RANK and made == out.shape:
        return None
    return {"repeats": list(repeats), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def _blocks_and_margins(graph: Graph, op: Op) -> tuple[Shape, tuple[tuple[int, int], ...]]:
    margins = ints(graph.input_of(op, 2))
    return ints(graph.input_of(op, 1)), tuple(zip(margins[::2], margins[1::2], strict=True))


def batches_copies(graph: Graph, op: Op) -> tuple[Copy, ...]:
    """SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: one copy per place in a block, of what isn't padding or cropped."""
    inp, out = _two(graph, op)
    block, margins = _blocks_and_margins(graph, op)
    to_batch = op.kind == "SPACE_TO_BATCH_ND"
    space, batch = (inp.shape, out.shape) if to_batch else (out.shape, inp.shape)
    copies = []
    for place, shift in enumerate(itertools.product(*map(range, block))):
        of_space, of_batch, size = 0, place * space[0] * steps(batch)[0], [space[0]]
        space_step, batch_step = [steps(space)[0]], [steps(batch)[0]]
        for d, (length, offset, (before, _)) in enumerate(zip(block, shift, margins, strict=True), 1):
            first = max(0, -((offset - before) // length))  # cells whose element lies before the plane
            end = min(batch[d], -((offset - before - space[d]) // length))
            size.append(max(end - first, 0))
            of_space += (first * length + offset - before) * steps(space)[d]
            of_batch += first * steps(batch)[d]
            space_step.append(length * steps(space)[d])
            batch_step.append(steps(batch)[d])
        size += space[len(block) + 1 :]
        space_step += steps(space)[len(block) + 1 :]
        batch_step += steps(batch)[len(block) + 1 :]
        if min(size) == 0:
            continue
        sides = (space_step, batch_step, of_space, of_batch)
        into, outof, a, b = sides if to_batch else (batch_step, space_step, of_batch, of_space)
        copies.append(Copy(tuple(size), tuple(into), tuple(outof), a, b))
    return tuple(copies)


def batches_fit(graph: Graph, op: Op) -> Facts | None:
    """Blocks of {block} and margins {margins} of an input {in_shape} don't give an output {out_shape}: the file is
    damaged."""
    inp, out = _two(graph, op)
    to_batch = op.kind == "SPACE_TO_BATCH_ND"
    space, batch = (inp.shape, out.shape) if to_batch else (out.shape, inp.shape)
    block, flat = ints(graph.input_of(op, 1)), ints(graph.input_of(op, 2))
    fits = len(space) == len(batch) > len(block) > 0 and len(flat) == 2 * len(block) and min(block) > 0
    if fits and min(flat) >= 0:
        margins = list(zip(flat[::2], flat[1::2], strict=True))
        inner = [space[d + 1] + sum(margins[d]) for d in range(len(block))]
        expected = (space[0] * prod(block), *(n // b for n, b in zip(inner, block, strict=True)))
        even = all(n % b == 0 for n, b in zip(inner, block, strict=True))
        if even and batch[: len(block) + 1] == expected and batch[len(block) + 1 :] == space[len(block) + 1 :]:
            return None
    return {"block": list(block), "margins": list(flat), "in_shape": list(inp.shape), "out_shape": list(out.shape)}
