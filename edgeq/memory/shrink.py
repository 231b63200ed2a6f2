"""Less RAM for some cycles: regions of a network in stripes, chosen by what the planner makes of them.

Only a region with the operator at the peak can lower the peak. All of these are compared by the bytes live at the peak;
the best few are lowered and planned for real, in as few stripes as need no more, and the smallest arena wins, where 16
bytes are worth a call. That goes on with what is the peak then, as long as the arena shrinks.
"""

from __future__ import annotations

from dataclasses import replace

from edgeq.graph import verify
from edgeq.kernels import Program
from edgeq.memory.arrange import Arrangement, arrange
from edgeq.memory.liveness import lifetimes
from edgeq.memory.placement import lower_bound
from edgeq.memory.rows import Region, Schedule, regions, schedule
from edgeq.memory.stripes import KIND, estimated, in_stripes, with_stripes
from edgeq.target import Core

_MOST_OPS = 32
_MOST_REGIONS = 4
_HEIGHTS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_CALL_BYTES = 16
"""What a kernel's call is worth: some 500 to 2,500 cycles on a Cortex-M4, beside the work it would do anyway."""
_TRIED = 4
"""Candidates that are lowered and planned, the best by their peaks."""


def arrange_small(program: Program, core: Core) -> Arrangement:
    """The program with regions in stripes, wherever that makes its arena smaller, planned.

    Models with several precisions stay as they are.

    Raises:
        UnsupportedError: as `arrange` does.
    """
    best = arrange(program)
    if program.lower:
        return best
    for _ in range(_MOST_REGIONS):
        better = _better(best, core)
        if better is None:
            break
        best = better
    return best


def _better(given: Arrangement, core: Core) -> Arrangement | None:
    best, least = None, given.plan.arena_bytes
    for region, peak in _candidates(given):
        if peak >= least:
            continue
        before = 0
        for rows in _heights(given.program, region, peak):
            made = schedule(region, rows)
            other = in_stripes(given.program, made, core)
            if other is None:
                break
            verify(other.graph)
            arranged = _told(arrange(other), given, region, rows)
            reached = arranged.plan.arena_bytes
            if reached + _price(made) < least:
                best, least = arranged, reached + _price(made)
            if before and reached >= before:
                break
            before = reached
    return best


def _price(made: Schedule) -> int:
    """Bytes of arena that must be saved for the calls to be worth it."""
    return _CALL_BYTES * sum(len(pieces) for pieces in made.stripes)


def _told(arranged: Arrangement, given: Arrangement, region: Region, rows: int) -> Arrangement:
    """With a sentence about what runs in stripes, and what for."""
    ops, graph = region.ops, region.graph
    names = " to ".join(dict.fromkeys(f"{op.kind} ({graph.output_of(op).short_name})" for op in (ops[0], ops[-1])))
    height = "1 row" if rows == 1 else f"{rows} rows"
    note = (
        f"{names}: {len(ops)} operators in stripes of {height}, for an arena of {arranged.plan.arena_bytes:,} B "
        f"instead of {given.plan.arena_bytes:,} B"
    )
    steps = tuple(
        replace(step, why=note) if step.inside and step.op.outputs == (region.result,) else step
        for step in arranged.program.steps
    )
    return replace(arranged, program=replace(arranged.program, steps=steps))


def _candidates(given: Arrangement) -> list[tuple[Region, int]]:
    """The few regions that lower the peak most, in stripes of one row, which need least; each with that peak."""
    graph, plan = given.program.graph, given.plan
    if not 0 <= plan.peak_op < len(graph.ops):
        return []
    timeline = plan.timeline()
    ranked = []
    for number, region in enumerate(regions(graph, plan.peak_op, _MOST_OPS)):
        if region.height(region.result) > 1 and not any(op.kind == KIND for op in region.ops):
            outside = max((live for t, live in timeline.items() if not region.first <= t < region.end), default=0)
            made = schedule(region, 1)
            if made.holds:
                peak = max(outside, _peak(given.program, made))
                ranked.append((peak + _price(made), number, peak, region))
    ranked.sort(key=lambda entry: entry[:2])
    return [(region, peak) for _, _, peak, region in ranked[:_TRIED] if peak < plan.arena_bytes]


def _heights(program: Program, region: Region, peak: int) -> list[int]:
    """Rows of a stripe that don't lift the peak above that, the most first."""
    found = [1]
    for rows in _HEIGHTS:
        made = schedule(region, rows)
        if rows >= region.height(region.result) or not made.holds or _peak(program, made) > peak:
            break
        found.append(rows)
    return found[::-1]


def _peak(program: Program, made: Schedule) -> int:
    """Bytes live at the peak of the whole network with that region in stripes."""
    region, steps = made.region, program.steps
    scratch = [step.lowering.scratch_bytes for step in steps[region.first : region.end]]
    lowerings = [step.lowering for step in (*steps[: region.first], *steps[region.end :])]
    lowerings.insert(region.first, estimated(made, scratch))
    return lower_bound(lifetimes(with_stripes(made), lowerings))
