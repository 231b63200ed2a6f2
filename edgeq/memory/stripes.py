"""A region of a network as one operator that runs in stripes: its calls, its loop and the memory inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph, Op
from edgeq.kernels import Constant, Kernel, Lowering, Program, Step, lower
from edgeq.kernels.contract import Call, Repeat
from edgeq.kernels.overlaps import distance
from edgeq.memory.liveness import Lifetime
from edgeq.memory.placement import place
from edgeq.memory.rows import Piece, Region, Schedule, places, runs, shift
from edgeq.target import Core
from edgeq.units import align_up

KIND = "STRIPES"
_ALIGNMENT = 16
_KEEP_SOURCE = "portable/edgeq_rows.h"

Geometry = tuple[int, int, tuple[int, ...], int]
"""(operator, rows that it makes, rows that it reads of each tensor, rows of padding above them)."""


@dataclass(frozen=True)
class Inside:
    """The memory of a region that runs in stripes: one block, the operator's scratch.

    Attributes:
        tensors, scratch: tensor, operator of the region → offset.
    """

    size_bytes: int
    tensors: Mapping[int, int]
    scratch: Mapping[int, int]


def inside(made: Schedule, scratch_bytes: Sequence[int], *, quick: bool = False) -> Inside:
    """Where the rows of each tensor inside a region lie, and what each operator's kernel needs beside.

    A tensor of which rows are kept lies where it is throughout; another only from the operator that makes its rows to
    the last that reads them.

    Args:
        quick: first fit instead of a search.
    """
    region = made.region
    count = len(region.ops)
    owners: list[tuple[int, int]] = []
    lives: list[Lifetime] = []
    for at, op in enumerate(region.ops):
        tensor = op.outputs[0]
        if tensor != region.result:
            last = max((i for i, other in enumerate(region.ops) if tensor in other.inputs), default=at)
            first, last = (0, count - 1) if made.outlives(tensor) else (at, last)
            size = align_up(made.capacity(tensor) * region.row_bytes(tensor), _ALIGNMENT)
            lives.append(Lifetime((tensor,), -1, first, last, size))
            owners.append((tensor, -1))
        if scratch_bytes[at]:
            lives.append(Lifetime((), at, at, at, align_up(scratch_bytes[at], _ALIGNMENT)))
            owners.append((-1, at))
    found = place(lives, steps=0, proof_steps=0) if quick else place(lives)
    where = list(zip(owners, found.offsets, strict=True))
    return Inside(
        found.total_bytes,
        {tensor: offset for (tensor, _), offset in where if tensor >= 0},
        {at: offset for (_, at), offset in where if at >= 0},
    )


def overlap(made: Schedule) -> Mapping[int, int]:
    """How far the region's inputs may lie over its output, as `Lowering.overlap` has it."""
    return MappingProxyType({position: _distance(made, t) for position, t in enumerate(made.region.sources)})


def _distance(made: Schedule, source: int) -> int:
    """D of one input: while a stripe reads it, what the stripes before have written is there, or, where the operator
    that writes the output is the one that reads, what this one writes too."""
    region = made.region
    needed, written = [], []
    low = region.height(source)
    for stripe in reversed(range(len(made.stripes))):
        low = min([low, *(row for (_, t), row in places(made, stripe).items() if t == source)])
        ends = made.ends[region.result]
        late = any(source == t for piece in made.stripes[stripe] if _is_last(made, piece) for t, _, _ in piece.reads)
        row = ends[stripe] if late else ends[stripe - 1] if stripe else 0
        needed.append(low * region.row_bytes(source))
        written.append(row * region.row_bytes(region.result))
    size = region.graph.tensors[source].size_bytes
    return distance(np.array(written[::-1]), np.array(needed[::-1]), size)


def _is_last(made: Schedule, piece: Piece) -> bool:
    return made.region.ops[piece.op].outputs[0] == made.region.result


def geometries(made: Schedule) -> dict[Geometry, int]:
    """What an operator is given in some stripe → in how many."""
    found: dict[Geometry, int] = {}
    for stripe in made.stripes:
        for piece in stripe:
            key = geometry(piece)
            found[key] = found.get(key, 0) + 1
    return found


def geometry(piece: Piece) -> Geometry:
    """What decides the parameters of a call."""
    return piece.op, piece.rows, tuple(rows for _, _, rows in piece.reads), piece.pad


def stripe_graph(region: Region, of: Geometry) -> Graph:
    """One operator as a graph of its own, with the rows of a stripe."""
    place, rows, read, pad = of
    op = region.ops[place]
    given = dict(zip(region.moving[place], read, strict=True))
    tensors = []
    for index in dict.fromkeys((*(t for t in op.inputs if t >= 0), op.outputs[0])):
        tensor = region.graph.tensors[index]
        height = rows if index == op.outputs[0] else given.get(index)
        shape = tensor.shape if height is None else (1, height, *tensor.shape[2:])
        data = tensor.data
        if region.reaches[place].is_pad and index == op.inputs[1] and data is not None:
            data = data.copy()
            data[1] = pad, rows - pad - read[0]
            data.setflags(write=False)
        tensors.append(replace(tensor, shape=shape, shape_signature=(), data=data))
    new = {tensor.index: i for i, tensor in enumerate(tensors)}
    cut = replace(
        op,
        index=0,
        inputs=tuple(new[t] if t >= 0 else -1 for t in op.inputs),
        outputs=(new[op.outputs[0]],),
        options=MappingProxyType({**op.options, "pad_h": pad}),
    )
    ends = tuple(new[t] for t in given), cut.outputs
    tensors = [replace(tensor, index=i) for i, tensor in enumerate(tensors)]
    return replace(region.graph, tensors=tuple(tensors), ops=(cut,), inputs=ends[0], outputs=ends[1], nested=None)


def in_stripes(program: Program, made: Schedule, core: Core) -> Program | None:
    """The program with a region as one operator; None where a kernel doesn't take the stripes.

    The other operators keep their kernels.
    """
    region = made.region
    steps: dict[Geometry, Step] = {}
    for key in geometries(made):
        try:
            steps[key] = lower(stripe_graph(region, key), core).steps[0]
        except UnsupportedError:
            return None
    graph = with_stripes(made)
    lowering = _lowering(made, steps)
    kernels = [step.kernel for step in steps.values()]
    kernel = Kernel(
        symbol="edgeq_stripes",
        op=KIND,
        types=kernels[0].types,
        max_version=1,
        sources=tuple(sorted({s for k in kernels for s in k.sources} | {_KEEP_SOURCE})),
        rules=(),
        lower=lambda *_: lowering,
        requires=tuple(sorted({r for k in kernels for r in k.requires})),
        why="layers that run a few rows at a time, so that large tensors never exist as a whole",
    )
    whole = Step(graph.ops[region.first], kernel, lowering, inside=program.steps[region.first : region.end])
    kept = (*program.steps[: region.first], whole, *program.steps[region.end :])
    moved = tuple(replace(step, op=op) for step, op in zip(kept, graph.ops, strict=True))
    return replace(program, graph=graph, steps=moved)


def with_stripes(made: Schedule) -> Graph:
    """The graph with a region as one operator. Its options: how many stripes of how many rows of the output; `calls` of
    each operator inside, and how often it reads its input (`read`).
    """
    region = made.region
    graph = region.graph
    calls, rows_read = [0] * len(region.ops), [0] * len(region.ops)
    for key, times in geometries(made).items():
        calls[key[0]] += times
        rows_read[key[0]] += times * key[2][0]
    heights = [region.height(moving[0]) for moving in region.moving]
    read = tuple(rows / height for rows, height in zip(rows_read, heights, strict=True))
    options = {"stripes": len(made.stripes), "rows": made.rows, "calls": tuple(calls), "read": read}
    op = Op(0, KIND, 1, region.sources, (region.result,), MappingProxyType(options))
    ops = (*graph.ops[: region.first], op, *graph.ops[region.end :])
    return replace(graph, ops=tuple(replace(each, index=i) for i, each in enumerate(ops)))


def estimated(made: Schedule, scratch_bytes: Sequence[int]) -> Lowering:
    """What the region asks of memory, before any kernel is asked.

    Args:
        scratch_bytes: of each operator's kernel.
    """
    memory = inside(made, scratch_bytes, quick=True)
    return Lowering(scratch_bytes=memory.size_bytes, overlap=overlap(made))


def _lowering(made: Schedule, steps: Mapping[Geometry, Step]) -> Lowering:
    most = [0] * len(made.region.ops)
    for key, step in steps.items():
        most[key[0]] = max(most[key[0]], step.lowering.scratch_bytes)
    memory = inside(made, most)
    names: dict[tuple[int, str, bytes], Constant] = {}
    calls: list[Call] = []
    repeats = []
    for first, times in runs(made):
        begin = len(calls)
        for piece in made.stripes[first]:
            calls += _keep(made, memory, piece, first)
            calls += _piece(made, memory, piece, first, times, steps[geometry(piece)], names)
        if times > 1:
            repeats.append(Repeat(begin, len(calls), times))
    counts = geometries(made)
    return Lowering(
        calls=tuple(calls),
        constants=tuple(names.values()),
        scratch_bytes=memory.size_bytes,
        overlap=overlap(made),
        macs=sum(counts[key] * step.lowering.macs for key, step in steps.items()),
        repeats=tuple(repeats),
    )


def _keep(made: Schedule, memory: Inside, piece: Piece, stripe: int) -> list[Call]:
    """The call that moves up what is kept of an operator's output, if anything is and it moves."""
    tensor = made.region.ops[piece.op].outputs[0]
    if tensor not in made.bases or not made.kept(tensor, stripe) or not shift(made, tensor, stripe):
        return []
    row = made.region.row_bytes(tensor)
    fields = {"from_bytes": str(shift(made, tensor, stripe) * row), "kept_bytes": str(made.kept(tensor, stripe) * row)}
    arguments = (f"{{scratch+{memory.tensors[tensor]}}}",)
    return [Call(arguments, "edgeq_keep_rows_params", MappingProxyType(fields), "edgeq_keep_rows")]


def _piece(
    made: Schedule, memory: Inside, piece: Piece, stripe: int, times: int, step: Step,
    names: dict[tuple[int, str, bytes], Constant],
) -> list[Call]:  # fmt: skip
    """An operator's calls in a stripe, with pointers into the region's ends and its block of memory."""
    region = made.region
    op = region.ops[piece.op]
    moves = {}
    if times > 1:
        before, after = places(made, stripe), places(made, stripe + 1)
        moves = {key: after[key] - row for key, row in before.items()}

    def pointer(tensor: int, row: int) -> str:
        size = region.row_bytes(tensor)
        if tensor in made.bases:
            return f"{{scratch+{memory.tensors[tensor] + (row - made.bases[tensor][stripe]) * size}}}"
        name = "out0" if tensor == region.result else f"in{region.sources.index(tensor)}"
        further = moves.get((piece.op, tensor), 0) * size
        return f"{{{name}+{row * size}" + (f"+{further}*round" if further else "") + "}"

    rows = {t: pointer(t, low) for t, low, _ in piece.reads}
    values = {f"{{in{i}}}": rows[t] for i, t in enumerate(op.inputs) if t in rows}
    values["{out0}"] = pointer(op.outputs[0], piece.at)
    values["{scratch}"] = f"{{scratch+{memory.scratch.get(piece.op, 0)}}}"
    for constant in step.lowering.constants:
        key = (piece.op, constant.name, constant.data)
        if key not in names:
            alike = sum(1 for place, name, _ in names if (place, name) == key[:2])
            again = f"_{alike + 1}" if alike else ""
            names[key] = replace(constant, name=f"{piece.op}_{constant.name}{again}")
        values[f"{{const:{constant.name}}}"] = f"{{const:{names[key].name}}}"

    def filled(text: str) -> str:
        for old, new in values.items():
            text = text.replace(old, new)
        return text

    return [
        replace(
            call,
            arguments=tuple(map(filled, call.arguments)),
            fields=MappingProxyType({name: filled(value) for name, value in call.fields.items()}),
            symbol=call.symbol or step.kernel.symbol,
        )
        for call in step.lowering.calls
    ]
