"""A MemoryPlan as the rows and columns of a drawing: buffers over operators. Drawing it is `report`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeq.graph import Graph
from edgeq.memory.plan import Buffer, MemoryPlan


@dataclass(frozen=True)
class ChartRow:
    """One buffer.

    Attributes:
        first, last: columns, both included, during which it is in use.
        in_place_of: the row whose memory it takes over in column `first`, -1 if none.
    """

    label: str
    kind: Literal["input", "output", "tensor", "variable", "scratch"]
    offset: int
    size_bytes: int
    first: int
    last: int
    in_place_of: int = -1


@dataclass(frozen=True)
class ArenaChart:
    """The arena over time.

    Attributes:
        columns: labels in time order: "start", one per operator (`CONV_2D #0`), "end".
        live_bytes: bytes in use, per column.
        peak: the column with most.
        rows: by offset, then by time.
        idle_bytes: the arena's bytes that are unused even at the peak: what a better placement could
            save at most (0: no placement is smaller).
        order_idle_bytes: what another order of the operators could save at most; None where nobody looked.
        file_bytes: what the arena would be at least in the file's order; None where it is the file's.
    """

    arena_bytes: int
    columns: tuple[str, ...]
    live_bytes: tuple[int, ...]
    peak: int
    rows: tuple[ChartRow, ...]
    idle_bytes: int
    order_idle_bytes: int | None = None
    file_bytes: int | None = None

    def at(self, column: int, offset: int) -> ChartRow | None:
        """The row that holds that byte then; of two in place, the one that takes over. None if free."""
        found = None
        for row in self.rows:
            if row.first <= column <= row.last and row.offset <= offset < row.offset + row.size_bytes:
                found = row
        return found


def chart(graph: Graph, plan: MemoryPlan) -> ArenaChart:
    """The drawing of a plan of that graph. Column 0 is the model's start, column i + 1 operator i."""
    kinds = tuple(op.custom_name or op.kind for op in graph.ops)
    columns = ("start", *(f"{kind} #{op.index}" for kind, op in zip(kinds, graph.ops, strict=True)), "end")
    timeline = plan.timeline()
    live = tuple(timeline.get(i - 1, 0) for i in range(len(columns)))
    order = sorted(range(len(plan.buffers)), key=lambda i: (plan.buffers[i].offset, plan.buffers[i].first_op, i))
    place = {old: new for new, old in enumerate(order)}
    rows = tuple(_row(graph, plan.buffers[i], place) for i in order)
    return ArenaChart(
        arena_bytes=plan.arena_bytes,
        columns=columns,
        live_bytes=live,
        peak=live.index(max(live)),
        rows=rows,
        idle_bytes=plan.arena_bytes - plan.lower_bound_bytes,
        order_idle_bytes=plan.arena_bytes - plan.ordering.bound_bytes if plan.ordering else None,
        file_bytes=plan.ordering.file_peak_bytes if plan.ordering and not plan.ordering.is_files else None,
    )


def buffer_label(graph: Graph, buffer: Buffer) -> str:
    """`scratch of CONV_2D #3`, or the short names of its tensors."""
    if buffer.scratch_of >= 0:
        op = graph.ops[buffer.scratch_of]
        return f"scratch of {op.custom_name or op.kind} #{op.index}"
    return " = ".join(graph.tensors[t].short_name or f"tensor {t}" for t in buffer.tensors)


def _row(graph: Graph, buffer: Buffer, place: dict[int, int]) -> ChartRow:
    kind: Literal["input", "output", "tensor", "variable", "scratch"] = "tensor"
    if buffer.scratch_of >= 0:
        kind = "scratch"
    elif any(graph.tensors[t].is_variable for t in buffer.tensors):
        kind = "variable"
    elif set(buffer.tensors) & set(graph.inputs):
        kind = "input"
    elif set(buffer.tensors) & set(graph.outputs):
        kind = "output"
    return ChartRow(
        label=buffer_label(graph, buffer),
        kind=kind,
        offset=buffer.offset,
        size_bytes=buffer.size_bytes,
        first=buffer.first_op + 1,
        last=buffer.last_op + 1,
        in_place_of=place.get(buffer.in_place_of, -1),
    )
