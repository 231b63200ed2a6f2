"""From a graph and its lowered operators to a MemoryPlan, checked before it is handed on."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.errors import EdgeqError
from edgeq.graph import Graph
from edgeq.kernels.contract import Lowering
from edgeq.memory.liveness import Lifetime, lifetimes
from edgeq.memory.placement import Placement, place
from edgeq.memory.plan import Buffer, MemoryPlan


def plan_memory(graph: Graph, lowerings: Sequence[Lowering], *, alignment: int = 16) -> MemoryPlan:
    """Where every tensor and scratch buffer lies.

    Args:
        lowerings: one per operator, in order: their scratch_bytes, overlap and alias are used.
        alignment: of every offset and of the arena's size, in bytes; a power of two.

    Raises:
        ValueError: not one lowering per operator, or an alignment that isn't a power of two.
        UnsupportedError: an operator that only renames memory is given a constant or a variable.
        EdgeqError: the plan doesn't hold (a defect of edgeq).
    """
    if len(lowerings) != len(graph.ops):
        raise ValueError(f"{len(lowerings)} lowerings for {len(graph.ops)} operators")
    if alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"alignment {alignment} is not a power of two")
    buffers = lifetimes(graph, lowerings, alignment)
    made = _product(buffers, place(buffers), alignment)
    verify_plan(made)
    return made


def _product(buffers: Sequence[Lifetime], placement: Placement, alignment: int) -> MemoryPlan:
    return MemoryPlan(
        arena_bytes=placement.total_bytes,
        lower_bound_bytes=placement.bound_bytes,
        alignment=alignment,
        buffers=tuple(_buffer(buffers, i, placement.offsets) for i in range(len(buffers))),
    )


def _buffer(lives: Sequence[Lifetime], index: int, offsets: Sequence[int]) -> Buffer:
    life, offset = lives[index], offsets[index]
    met = tuple(
        (source, distance)
        for source, distance in life.over
        if offsets[source] < offset + life.size_bytes and offset < offsets[source] + lives[source].size_bytes
    )
    return Buffer(life.tensors, life.scratch_of, life.first, life.last, offset, life.size_bytes, met, life.exactly)


def verify_plan(plan: MemoryPlan) -> None:
    """Check that nothing live is overwritten: operator by operator, without the planner's own arithmetic.

    Raises:
        EdgeqError: two buffers that are live together overlap (other than as a kernel allows), or one is misaligned or
            outside the arena.
    """
    taken = [source for b in plan.buffers for source, _ in b.over]
    if len(set(taken)) != len(taken):
        raise _broken("two buffers take over the same memory")
    starting: dict[int, list[int]] = {}
    for i, buffer in enumerate(plan.buffers):
        if buffer.offset % plan.alignment or buffer.offset < 0 or buffer.end > plan.arena_bytes:
            raise _broken(f"{buffer} is misaligned or outside the arena of {plan.arena_bytes} bytes")
        _verify_over(plan, buffer)
        starting.setdefault(buffer.first_op, []).append(i)
    live: list[int] = []
    for op_index in sorted(starting):  # only where a buffer begins can a new pair meet
        live = [i for i in live if plan.buffers[i].last_op >= op_index] + starting[op_index]
        below: list[Buffer] = []
        for upper in sorted((b for i in live if (b := plan.buffers[i]).size_bytes), key=lambda b: b.offset):
            below = [b for b in below if b.end > upper.offset]
            for lower in below:
                if not _goes_over(plan, lower, upper) and not _goes_over(plan, upper, lower):
                    raise _broken(f"while operator {op_index} runs, {lower} and {upper} overlap")
            below.append(upper)


def _goes_over(plan: MemoryPlan, later: Buffer, earlier: Buffer) -> bool:
    return any(plan.buffers[source] is earlier for source, _ in later.over)


def _verify_over(plan: MemoryPlan, buffer: Buffer) -> None:
    for position, distance in buffer.over:
        source = plan.buffers[position]
        if source.last_op != buffer.first_op:
            raise _broken(f"{buffer} takes over {source}, which is still needed")
        behind = source.offset - buffer.offset
        if (behind != distance if buffer.exactly else behind < distance) and source.end > buffer.offset:
            raise _broken(f"{buffer} takes over {source}, which begins too early for that")


def _broken(what: str) -> EdgeqError:
    return EdgeqError(
        f"the memory plan is wrong: {what}",
        next_step="this is a defect of edgeq: please report it with the model",
    )
