"""Which rows of each tensor a region of a network makes and needs when it runs in stripes.

A region is a run of operators with one output, each of which makes rows of its output of rows near them of its inputs.
In stripes, all of them make a few rows at a time: those that the region's output needs next. Rows that a later stripe
reads again (the halo of a window) are kept, so that nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels.windows import window_of

_WINDOWS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"})
_ROW_BY_ROW = frozenset(
    {"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1"}
    | {"LEAKY_RELU", "PRELU", "ELU", "HARD_SWISH", "LOGISTIC", "TANH", "ABS", "NEG", "CONCATENATION"}
)
_WORD = 4


@dataclass(frozen=True)
class Reach:
    """How rows of an operator's output depend on rows of its inputs: of row y, rows `y * stride - pad` up to, without
    it, `y * stride - pad + size`.

    Attributes:
        is_pad: it only adds rows above and below, and must have a row that is none of these whenever it runs.
    """

    stride: int = 1
    pad: int = 0
    size: int = 1
    is_pad: bool = False

    def first(self, row: int) -> int:
        """The first row of the input that output rows from `row` on need."""
        return max(0, row * self.stride - self.pad)

    def end(self, end: int) -> int:
        """Behind the last row of the input that output rows before `end` need, were there rows above and below."""
        return (end - 1) * self.stride - self.pad + self.size

    def made(self, end: int, height: int, in_height: int) -> int:
        """Behind the last row that is made when rows before `end` are wanted, of an output of that height."""
        if self.is_pad and end <= self.pad:
            return 0
        if self.is_pad and end >= self.pad + in_height:
            return height
        return max(0, min(height, end))

    def above(self, row: int) -> int:
        """Rows of padding above output rows from `row` on."""
        return max(0, self.pad - row * self.stride)


@dataclass(frozen=True)
class Region:
    """Operators that can run in stripes together.

    Attributes:
        first, end: places in the graph's order.
        sources: the tensors that it reads, in the order in which it does.
        result: the tensor that is read of it.
        reaches: one per operator.
        moving: for each operator what it reads that isn't constant, each tensor once.
    """

    graph: Graph
    first: int
    end: int
    sources: tuple[int, ...]
    result: int
    reaches: tuple[Reach, ...]
    moving: tuple[tuple[int, ...], ...]

    @property
    def ops(self) -> tuple[Op, ...]:
        """Its operators."""
        return self.graph.ops[self.first : self.end]

    def height(self, tensor: int) -> int:
        """Rows of a tensor."""
        return self.graph.tensors[tensor].shape[1]

    def row_bytes(self, tensor: int) -> int:
        """Bytes of a row."""
        return self.graph.tensors[tensor].size_bytes // self.height(tensor)


def reach_of(graph: Graph, op: Op) -> Reach | None:
    """How an operator's rows depend on its inputs'; None where it can't run in stripes."""
    moving = [graph.tensors[t] for t in op.inputs if t >= 0 and not graph.tensors[t].is_constant]
    if len(op.outputs) != 1 or not moving or not all(_has_rows(t) for t in (*moving, graph.output_of(op))):
        return None
    out = graph.output_of(op)
    if op.kind in _ROW_BY_ROW:
        constants = [t for i in op.inputs if i >= 0 and (t := graph.tensors[i]).is_constant]
        alike = all(t.shape[:3] == out.shape[:3] for t in moving) and all(_is_per_channel(t) for t in constants)
        sideways = op.kind != "CONCATENATION" or op.integer("axis") in (3, -1)
        return Reach() if alike and sideways else None
    if op.kind in ("PAD", "PADV2"):
        return _padding(graph, op, moving)
    if op.kind not in _WINDOWS or len(moving) != 1 or op.inputs[0] != moving[0].index:
        return None
    size = op.integer("filter_height"), op.integer("filter_width")
    weights = graph.input_of(op, 1)
    if weights is not None and len(weights.shape) == 4:
        size = weights.shape[1], weights.shape[2]
    if op.text("padding") not in ("SAME", "VALID") or min(*size, op.integer("stride_h"), op.integer("stride_w")) < 1:
        return None
    w = window_of(moving[0], out, op, *size)
    return Reach(w.stride_h, w.pad_h, (w.filter_h - 1) * w.dilation_h + 1)


def _padding(graph: Graph, op: Op, moving: list[Tensor]) -> Reach | None:
    around = graph.input_of(op, 1)
    if len(moving) != 1 or op.inputs[0] != moving[0].index or around is None or around.data is None:
        return None
    sides = around.data.tolist()
    return Reach(pad=int(sides[1][0]), is_pad=True) if around.shape == (4, 2) and sides[0] == [0, 0] else None


def _has_rows(tensor: Tensor) -> bool:
    rows = len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.elements > 0 and not tensor.is_variable
    return rows and tensor.dtype.bits >= 8 and tensor.size_bytes // tensor.shape[1] % _WORD == 0


def _is_per_channel(tensor: Tensor) -> bool:
    return all(d == 1 for d in tensor.shape[:-1])


def regions(graph: Graph, through: int, most_ops: int) -> list[Region]:
    """All regions of at most so many operators, of which one runs at the place `through`."""
    reaches = [reach_of(graph, op) for op in graph.ops]
    moving = [
        tuple(dict.fromkeys(t for t in op.inputs if t >= 0 and not graph.tensors[t].is_constant)) for op in graph.ops
    ]
    last_reader: dict[int, int] = {t: len(graph.ops) for t in graph.outputs}
    for op in graph.ops:
        for t in op.inputs:
            last_reader[t] = max(last_reader.get(t, -1), op.index)
    found = []
    for first in range(max(0, through - most_ops + 1), through + 1):
        made: set[int] = set()
        read: dict[int, None] = {}
        for end in range(first + 1, min(len(graph.ops), first + most_ops) + 1):
            op = graph.ops[end - 1]
            if reaches[end - 1] is None:
                break
            read |= dict.fromkeys(t for t in moving[end - 1] if t not in made)
            made |= set(op.outputs)
            leaving = {t for t in made if last_reader.get(t, end) >= end}
            if end > through and leaving == set(op.outputs):
                own = tuple(r for r in reaches[first:end] if r is not None)
                found.append(Region(graph, first, end, tuple(read), op.outputs[0], own, tuple(moving[first:end])))
    return found


@dataclass(frozen=True)
class Piece:
    """What one operator does in one stripe.

    Attributes:
        op: its place in the region.
        rows: how many rows of its output it makes, the first of them at row `at` of that tensor.
        reads: for each tensor that it reads, (tensor, first row, rows).
        pad: rows of padding above what it reads.
    """

    op: int
    at: int
    rows: int
    reads: tuple[tuple[int, int, int], ...]
    pad: int


@dataclass(frozen=True)
class Schedule:
    """A region in stripes.

    Attributes:
        stripes: what runs in each, in the region's order of operators.
        bases: tensor → for each stripe the row with which its buffer begins; of tensors inside the region.
        ends: tensor → for each stripe the row behind those that are made by its end.
    """

    region: Region
    rows: int
    stripes: tuple[tuple[Piece, ...], ...]
    bases: dict[int, tuple[int, ...]]
    ends: dict[int, tuple[int, ...]]

    def capacity(self, tensor: int) -> int:
        """Rows that the buffer of a tensor inside the region must hold."""
        return max(end - base for base, end in zip(self.bases[tensor], self.ends[tensor], strict=True))

    def kept(self, tensor: int, stripe: int) -> int:
        """Rows made before that stripe that are still needed in it."""
        return self.ends[tensor][stripe - 1] - self.bases[tensor][stripe] if stripe else 0

    @property
    def holds(self) -> bool:
        """Whether all that a stripe reads is there: not where an operator reads nothing but rows that PAD added."""
        return all(
            t not in self.ends or low + rows <= self.ends[t][stripe]
            for stripe, pieces in enumerate(self.stripes)
            for piece in pieces
            for t, low, rows in piece.reads
        )

    def outlives(self, tensor: int) -> bool:
        """Whether any rows are kept from one stripe to the next."""
        return any(self.kept(tensor, s) > 0 for s in range(1, len(self.stripes)))


def schedule(region: Region, rows: int) -> Schedule:
    """The stripes of a region, each of which makes so many rows of its output (the last one what is left).

    Before the first of these come some that make none, so that no operator ever makes more rows than in the others.
    """
    height = region.height(region.result)
    backwards: list[dict[int, int]] = []  # tensor → the row behind those made by the end of a stripe; the last first
    stripe = -(-height // rows)
    while not backwards or any(backwards[-1].values()):
        backwards.append(_ends(region, min(height, stripe * rows)))
        stripe -= 1
    table = backwards[-2::-1]
    ends = {op.outputs[0]: [each[op.outputs[0]] for each in table] for op in region.ops}
    stripes = tuple(_pieces(region, ends, stripe) for stripe in range(len(table)))
    bases = {t: _bases(stripes, t, ends[t]) for t in ends if t != region.result}
    return Schedule(region, rows, stripes, bases, {t: tuple(e) for t, e in ends.items()})


def _ends(region: Region, end: int) -> dict[int, int]:
    """For each tensor made inside, the row behind those that the output's rows before `end` need."""
    wanted = {region.result: end}
    every = list(zip(region.ops, region.reaches, region.moving, strict=True))
    for op, reach, moving in reversed(every):
        needed = reach.end(wanted[op.outputs[0]])
        for t in moving:
            wanted[t] = max(wanted.get(t, needed), needed)
    return {
        (out := op.outputs[0]): reach.made(wanted[out], region.height(out), region.height(moving[0]))
        for op, reach, moving in every
    }


def _pieces(region: Region, ends: dict[int, list[int]], stripe: int) -> tuple[Piece, ...]:
    pieces = []
    for place, (op, reach, moving) in enumerate(zip(region.ops, region.reaches, region.moving, strict=True)):
        out = op.outputs[0]
        start = ends[out][stripe - 1] if stripe else 0
        end = ends[out][stripe]
        if end == start:
            continue
        reads = []
        for t in moving:
            low, high = reach.first(start), min(region.height(t), reach.end(end))
            reads.append((t, low, high - low))
        pieces.append(Piece(place, start, end - start, tuple(reads), reach.above(start)))
    return tuple(pieces)


def _bases(stripes: Sequence[Sequence[Piece]], tensor: int, ends: Sequence[int]) -> tuple[int, ...]:
    """The first row that a stripe or one behind it reads, of what there is; it moves on only when rows are added."""
    needed = [min((low for p in stripe for t, low, _ in p.reads if t == tensor), default=-1) for stripe in stripes]
    following = ends[-1]
    for i in reversed(range(len(needed))):
        following = min(following, needed[i]) if needed[i] >= 0 else following
        needed[i] = following
    base = 0
    found = []
    for i, low in enumerate(needed):
        before = ends[i - 1] if i else 0
        if ends[i] > before:
            base = max(base, min(low, before))
        found.append(base)
    return tuple(found)


def runs(made: Schedule) -> list[tuple[int, int]]:
    """(first stripe, how many) of stripes that differ only in where the region's inputs are read and its output is
    written, by as much from each to the next."""
    found: list[tuple[int, int]] = []
    steps: dict[tuple[int, int], int] = {}
    for stripe in range(len(made.stripes)):
        first, count = found[-1] if found else (0, 0)
        if count and _key(made, stripe) == _key(made, stripe - 1):
            moved = _moves(made, stripe)
            if count == 1 or moved == steps:
                found[-1], steps = (first, count + 1), moved
                continue
        found.append((stripe, 1))
    return found


def places(made: Schedule, stripe: int) -> dict[tuple[int, int], int]:
    """(operator, tensor) → the first row that a stripe reads of the region's inputs, or writes of its output."""
    region = made.region
    found: dict[tuple[int, int], int] = {}
    for piece in made.stripes[stripe]:
        found |= {(piece.op, t): low for t, low, _ in piece.reads if t in region.sources}
        if region.ops[piece.op].outputs[0] == region.result:
            found[piece.op, region.result] = piece.at
    return found


def _moves(made: Schedule, stripe: int) -> dict[tuple[int, int], int]:
    before = places(made, stripe - 1)
    return {key: row - before[key] for key, row in places(made, stripe).items()}


def _key(made: Schedule, stripe: int) -> tuple[object, ...]:
    """Equal for stripes that are the same calls, but for where the region's ends are read and written."""
    found: list[object] = []
    for piece in made.stripes[stripe]:
        out = made.region.ops[piece.op].outputs[0]
        reads = tuple((t, low - made.bases[t][stripe] if t in made.bases else 0, rows) for t, low, rows in piece.reads)
        own: tuple[int, ...] = ()
        if out in made.bases:
            own = (piece.at - made.bases[out][stripe], made.kept(out, stripe), shift(made, out, stripe))
        found.append((piece.op, piece.rows, piece.pad, reads, own))
    return tuple(found)


def shift(made: Schedule, tensor: int, stripe: int) -> int:
    """Rows by which what is kept of a tensor moves up before that stripe's are added."""
    return made.bases[tensor][stripe] - made.bases[tensor][stripe - 1] if stripe else 0
