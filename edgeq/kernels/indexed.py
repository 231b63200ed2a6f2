"""Operators whose output's place decides alone which element it copies, by a table per dimension: MIRROR_PAD,
RESIZE_NEAREST_NEIGHBOR, GATHER with known indices. And GATHER, GATHER_ND, EMBEDDING_LOOKUP with computed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import overlaps, rules
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.copies import ints, steps
from edgeq.kernels.moves import outputs_keep_type, quantization_is_kept
from edgeq.kernels.operands import operand
from edgeq.kernels.types import INDEX, MOVED, SUFFIX

_RANK = 6
Indices = Callable[[Graph, Op], Sequence[Sequence[int]]]
"""For each dimension of the input: the index that each index of the output takes."""


def _lower_indices(indices: Indices) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        inp = graph.input_of(op, 0)
        assert inp is not None
        item = inp.dtype.bits // 8
        taken = [list(t) for t in indices(graph, op)]
        strides = list(steps(inp.shape))
        block = item
        while taken and taken[-1] == list(range(inp.shape[len(taken) - 1])):  # whole dimensions at the end: one block
            block *= len(taken.pop())
        tables = [[i * s * item for i in t] for t, s in zip(taken, strides, strict=False)]
        lead = [[0]] * (_RANK - len(tables))
        offsets = np.array([v for table in (*lead, *tables) for v in table], "<i4")
        pointer, constants = operand(inp, 0)
        sizes = ", ".join(str(len(table)) for table in (*lead, *tables))
        return Lowering.of_call(
            arguments=(pointer, "{out0}"),
            struct="edgeq_index_copy_params",
            fields={"size": f"{{{sizes}}}", "offsets": "{const:offsets}", "block_bytes": str(block)},
            constants=(*constants, Constant("offsets", "int32_t", offsets.tobytes(), "parameters")),
            overlap={0: overlaps.taken(tuple(map(tuple, tables)), block, inp.size_bytes)} if not constants else {},
        )

    return lower


def _mirrored(graph: Graph, op: Op) -> list[list[int]]:
    inp = graph.input_of(op, 0)
    assert inp is not None
    paddings = ints(graph.input_of(op, 1))
    edge = 0 if op.text("mode") == "SYMMETRIC" else 1  # REFLECT leaves the edge itself out
    tables = []
    for size, before, after in zip(inp.shape, paddings[::2], paddings[1::2], strict=True):
        head = [before - 1 - i + edge for i in range(before)]
        tail = [size - 1 - i - edge for i in range(after)]
        tables.append([*head, *range(size), *tail])
    return tables


def mirror_fits(graph: Graph, op: Op) -> Facts | None:
    """The paddings {paddings} of an input {in_shape} don't give an output {out_shape}, or are wider than what they
    mirror: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    paddings = ints(graph.input_of(op, 1))
    if len(paddings) == 2 * len(inp.shape) and min(paddings) >= 0:
        most = 0 if op.text("mode") == "SYMMETRIC" else 1
        pairs = list(zip(inp.shape, paddings[::2], paddings[1::2], strict=True))
        if all(max(b, a) <= d - most for d, b, a in pairs) and tuple(d + b + a for d, b, a in pairs) == out.shape:
            return None
    return {"paddings": list(paddings), "in_shape": list(inp.shape), "out_shape": list(out.shape)}


def _nearest(graph: Graph, op: Op) -> list[list[int]]:
    """Floats as the reference computes them (reference/resize_nearest_neighbor.h)."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    corners, centres = bool(op.options.get("align_corners")), bool(op.options.get("half_pixel_centers"))
    planes = [
        [_nearest_index(o, inp.shape[d], out.shape[d], corners, centres) for o in range(out.shape[d])] for d in (1, 2)
    ]
    return [list(range(inp.shape[0])), *planes, list(range(inp.shape[3]))]


def _nearest_index(place: int, size: int, out_size: int, corners: bool, centres: bool) -> int:
    scale = np.float32(size - 1) / np.float32(out_size - 1) if corners and out_size > 1 else None
    if scale is None:
        scale = np.float32(size) / np.float32(out_size)
    offset = np.float32(0.5 if centres else 0.0)
    position = np.float32((np.float32(place) + offset) * scale)
    rounded = np.floor(np.float64(position) + 0.5) if corners else np.floor(position)
    index = min(int(rounded), size - 1)
    return max(index, 0) if centres else index


def resize_fits(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, size {size} and output {out_shape} don't belong together: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    size = ints(graph.input_of(op, 1))
    if len(out.shape) == 4 and out.shape == (inp.shape[0], *size, inp.shape[3]):
        return None
    return {"in_shape": list(inp.shape), "size": list(size), "out_shape": list(out.shape)}


def _gather_parts(graph: Graph, op: Op) -> tuple[Tensor, Tensor, int, int]:
    inp, indices = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and indices is not None
    axis = op.integer("axis") % max(len(inp.shape), 1)
    return inp, indices, axis, op.integer("batch_dims") % (len(indices.shape) + 1)


def gather_fits(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, indices {indices} and axis {axis} don't give an output {out_shape}: the file is damaged."""
    inp, indices, axis, batch = _gather_parts(graph, op)
    out = graph.output_of(op)
    given = op.integer("axis")
    inside = -len(inp.shape) <= given < len(inp.shape) and batch <= axis and batch <= len(indices.shape)
    shared = inside and inp.shape[:batch] == indices.shape[:batch]
    if shared and inp.shape[:axis] + indices.shape[batch:] + inp.shape[axis + 1 :] == out.shape:
        return None
    return {
        "in_shape": list(inp.shape),
        "indices": list(indices.shape),
        "axis": given,
        "out_shape": list(out.shape),
    }


def indices_are_known(graph: Graph, op: Op) -> Facts | None:
    """Its indices are computed, one set per batch, or outside of the input; the kernel for computed ones takes that."""
    inp, indices, axis, batch = _gather_parts(graph, op)
    if indices.data is None or inp.data is not None or batch:
        return {}
    return None if all(0 <= i < inp.shape[axis] for i in ints(indices)) else {}


def dimensions_are_few(graph: Graph, op: Op) -> Facts | None:
    """Input and indices have {rank} dimensions, more than six."""
    inp, _, _, _ = _gather_parts(graph, op)
    return None if len(inp.shape) <= _RANK else {"rank": len(inp.shape)}


def _known(graph: Graph, op: Op) -> list[list[int]]:
    inp, indices, axis, _ = _gather_parts(graph, op)
    return [list(ints(indices)) if d == axis else list(range(size)) for d, size in enumerate(inp.shape)]


def _lower_gather(graph: Graph, op: Op) -> Lowering:
    inp, indices, axis, batch = _gather_parts(graph, op)
    pointer, constants = operand(inp, 0)
    names, more = operand(indices, 1)
    return Lowering.of_call(
        arguments=(pointer, names, "{out0}"),
        struct="edgeq_gather_params",
        fields={
            "batches": str(prod(inp.shape[:batch])),
            "outer": str(prod(inp.shape[batch:axis])),
            "axis": str(inp.shape[axis]),
            "count": str(prod(indices.shape[batch:])),
            "block_bytes": str(prod(inp.shape[axis + 1 :]) * inp.dtype.bits // 8),
        },
        constants=(*constants, *more),
    )


def _lower_lookup(graph: Graph, op: Op) -> Lowering:
    """EMBEDDING_LOOKUP: rows of the second input that the first names."""
    indices, table = graph.input_of(op, 0), graph.input_of(op, 1)
    assert indices is not None and table is not None
    names, constants = operand(indices, 0)
    pointer, more = operand(table, 1)
    return Lowering.of_call(
        arguments=(pointer, names, "{out0}"),
        struct="edgeq_gather_params",
        fields={
            "batches": "1",
            "outer": "1",
            "axis": str(table.shape[0]),
            "count": str(indices.elements),
            "block_bytes": str(prod(table.shape[1:]) * table.dtype.bits // 8),
        },
        constants=(*constants, *more),
    )


def lookup_fits(graph: Graph, op: Op) -> Facts | None:
    """The table {table} and indices {indices} don't give an output {out_shape} of the table's type: the file is
    damaged."""
    indices, table, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert indices is not None and table is not None
    if len(table.shape) > 1 and indices.shape + table.shape[1:] == out.shape and table.dtype is out.dtype:
        return None
    return {"table": list(table.shape), "indices": list(indices.shape), "out_shape": list(out.shape)}


def _lower_gather_nd(graph: Graph, op: Op) -> Lowering:
    inp, indices = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and indices is not None
    depth = indices.shape[-1]
    pointer, constants = operand(inp, 0)
    names, more = operand(indices, 1)
    sizes = inp.shape[:depth] + (1,) * (_RANK - depth)
    return Lowering.of_call(
        arguments=(pointer, names, "{out0}"),
        struct="edgeq_gather_nd_params",
        fields={
            "rows": str(indices.elements // depth),
            "depth": str(depth),
            "size": "{" + ", ".join(map(str, sizes)) + "}",
            "block_bytes": str(prod(inp.shape[depth:]) * inp.dtype.bits // 8),
        },
        constants=(*constants, *more),
    )


def gather_nd_fits(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape} and indices {indices} don't give an output {out_shape}: the file is damaged."""
    inp, indices, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and indices is not None
    depth = indices.shape[-1] if indices.shape else 0
    if 0 < depth <= min(len(inp.shape), _RANK) and indices.shape[:-1] + inp.shape[depth:] == out.shape:
        return None
    return {"in_shape": list(inp.shape), "indices": list(indices.shape), "out_shape": list(out.shape)}


def _rules(
    kinds: tuple[tuple[DType, ...], ...], constants: tuple[tuple[int, str], ...], *fits: Rule, kept: bool = True
) -> tuple[Rule, ...]:
    return (
        rules.arity(2, 2),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(kinds, MOVED),
        *(rules.constant(at, what) for at, what in constants),
        *((outputs_keep_type, quantization_is_kept) if kept else ()),
        *fits,
        rules.activations_come_from_the_arena,
    )


def _tabled(op: str, max_version: int, indices: Indices, which: tuple[Rule, ...]) -> Kernel:
    return Kernel(
        symbol="edgeq_index_copy",
        op=op,
        types="any",
        max_version=max_version,
        sources=("portable/index_copy.c",),
        rules=which,
        lower=_lower_indices(indices),
        why="every core; a table of places",
    )


def _gathered(
    op: str,
    symbol: str,
    max_version: int,
    dtype: DType,
    lower: Callable[[Graph, Op], Lowering],
    which: tuple[Rule, ...],
) -> Kernel:
    return Kernel(
        symbol=f"{symbol}_{SUFFIX[dtype]}",
        op=op,
        types="any",
        max_version=max_version,
        sources=("portable/gather.c",),
        rules=which,
        lower=lower,
        why="every core; indices that are computed",
        exact="equal for indices that lie in the input; others, which the reference refuses, take the nearest",
    )


_PLACES = (MOVED, INDEX)
_GATHER = (rules.rank(0, (1, 2, 3, 4, 5, 6)), gather_fits)

KERNELS = (
    _tabled(
        "MIRROR_PAD",
        3,
        _mirrored,
        _rules(_PLACES, ((1, "paddings"),), rules.rank(0, (1, 2, 3, 4, 5, 6)), mirror_fits),
    ),
    _tabled("RESIZE_NEAREST_NEIGHBOR", 4, _nearest, _rules(_PLACES, ((1, "size"),), rules.rank(0, (4,)), resize_fits)),
    _tabled("GATHER", 6, _known, _rules(_PLACES, (), *_GATHER, dimensions_are_few, indices_are_known)),
    *(
        row
        for dtype in (DType.INT64, DType.INT32)
        for row in (
            _gathered("GATHER", "edgeq_gather", 6, dtype, _lower_gather, _rules((MOVED, (dtype,)), (), *_GATHER)),
            _gathered(
                "GATHER_ND",
                "edgeq_gather_nd",
                5,
                dtype,
                _lower_gather_nd,
                _rules((MOVED, (dtype,)), (), rules.rank(0, (1, 2, 3, 4, 5, 6)), gather_nd_fits),
            ),
        )
    ),
    _gathered(
        "EMBEDDING_LOOKUP",
        "edgeq_gather",
        3,
        DType.INT32,
        _lower_lookup,
        _rules(((DType.INT32,), MOVED), (), lookup_fits, kept=False),
    ),
)
