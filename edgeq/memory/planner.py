"""From a graph and its lowered operators to a MemoryPlan, checked before it is handed on."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.errors import EdgeqError
from edgeq.graph import Graph
from edgeq.kernels.contract import Lowering
from edgeq.memory.liveness import Lifetime, lifetimes
from edgeq.memory.placement import Placement, lower_bound, place
from edgeq.memory.plan import Buffer, MemoryPlan


def plan_memory(graph: Graph, lowerings: Sequence[Lowering], *, alignment: int = 16) -> MemoryPlan:
    """Where every tensor and scratch buffer lies.

    Args:
        lowerings: one per operator, in order: their scratch_bytes, in_place and alias are used.
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
    bound = lower_bound(buffers)
    placement = place(buffers)
    if placement.total_bytes > bound:
        # Sharing one offset over two lives is a constraint; rarely, a network fits better without.
        apart = lifetimes(graph, lowerings, alignment, in_place=False)
        if lower_bound(apart) < placement.total_bytes:
            other = place(apart)
            if other.total_bytes < placement.total_bytes:
                buffers, placement = apart, other
    made = _product(buffers, placement, bound, alignment)
    verify_plan(made)
    return made


def _product(buffers: Sequence[Lifetime], placement: Placement, bound: int, alignment: int) -> MemoryPlan:
    return MemoryPlan(
        arena_bytes=placement.total_bytes,
        lower_bound_bytes=bound,
        alignment=alignment,
        buffers=tuple(
            Buffer(b.tensors, b.scratch_of, b.first, b.last, offset, b.size_bytes, b.takes_over)
            for b, offset in zip(buffers, placement.offsets, strict=True)
        ),
    )


def verify_plan(plan: MemoryPlan) -> None:
    """Check that nothing live is overwritten: operator by operator, without the planner's own arithmetic.

    Raises:
        EdgeqError: two buffers that are live together overlap (other than one that takes over the other's
            memory), or one is misaligned or outside the arena.
    """
    taken = [b.in_place_of for b in plan.buffers if b.in_place_of >= 0]
    if len(set(taken)) != len(taken):
        raise _broken("two buffers take over the same memory")
    starting: dict[int, list[int]] = {}
    for i, buffer in enumerate(plan.buffers):
        if buffer.offset % plan.alignment or buffer.offset < 0 or buffer.end > plan.arena_bytes:
            raise _broken(f"{buffer} is misaligned or outside the arena of {plan.arena_bytes} bytes")
        _verify_in_place(plan, buffer)
        starting.setdefault(buffer.first_op, []).append(i)
    live: list[int] = []
    for op_index in sorted(starting):  # only where a buffer begins can a new pair meet
        live = [i for i in live if plan.buffers[i].last_op >= op_index] + starting[op_index]
        by_place = sorted((b for i in live if (b := plan.buffers[i]).size_bytes), key=lambda b: b.offset)
        lower = None
        for upper in by_place:
            if lower is not None and lower.end > upper.offset and not _taken_over(plan, lower, upper):
                raise _broken(f"while operator {op_index} runs, {lower} and {upper} overlap")
            if lower is None or upper.end > lower.end:
                lower = upper


def _taken_over(plan: MemoryPlan, a: Buffer, b: Buffer) -> bool:
    return any(
        later.in_place_of >= 0 and plan.buffers[later.in_place_of] is earlier for earlier, later in ((a, b), (b, a))
    )


def _verify_in_place(plan: MemoryPlan, buffer: Buffer) -> None:
    if buffer.in_place_of < 0:
        return
    source = plan.buffers[buffer.in_place_of]
    if source.offset != buffer.offset or source.last_op != buffer.first_op:
        raise _broken(f"{buffer} takes over {source}, which lies elsewhere or is still needed")


def _broken(what: str) -> EdgeqError:
    return EdgeqError(
        f"the memory plan is wrong: {what}",
        next_step="this is a defect of edgeq: please report it with the model",
    )
