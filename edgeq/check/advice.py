"""What sets the peak, and what would make a model fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, sqrt
from typing import Literal

from edgeq import target as targets
from edgeq.check.fit import Budget, LiveBuffer, OpVerdict, Part, Peak, place
from edgeq.graph import Graph
from edgeq.memory import Buffer, MemoryPlan, buffer_label
from edgeq.target import Target
from edgeq.units import format_bytes

_SHOWN = 3
_ORDER = ("input", "output", "scratch", "kept")


def peak(graph: Graph, plan: MemoryPlan) -> Peak:
    """The operator at which most of the arena is in use, and by what: inputs, outputs, then the others."""
    index = plan.peak_op
    inside = 0 <= index < len(graph.ops)
    label = graph.label(graph.ops[index]) if inside else "the model's ends"
    live = [
        LiveBuffer(buffer_label(graph, b), _role(graph, b, index if inside else -1), b.size_bytes)
        for b in plan.live_at(index)
        if b.size_bytes
    ]
    live.sort(key=lambda b: (_ORDER.index(b.role), -b.size_bytes))
    return Peak(index, label, tuple(live), plan.live_bytes(index))


def _role(graph: Graph, buffer: Buffer, index: int) -> Literal["input", "output", "scratch", "kept"]:
    if buffer.scratch_of >= 0:
        return "scratch"
    if index >= 0 and set(graph.ops[index].outputs) & set(buffer.tensors):
        return "output"
    if index >= 0 and set(graph.ops[index].inputs) & set(buffer.tensors):
        return "input"
    return "kept"


def describe_peak(found: Peak) -> str:
    """`CONV_2D #2 (name): input 'a' 36,864 B + output 'b' 18,432 B = 55,296 B`."""
    parts = [
        f"{b.role} {b.size_bytes:,} B" if b.role == "scratch" else f"{b.role} '{b.label}' {b.size_bytes:,} B"
        for b in found.live
    ]
    total = sum(b.size_bytes for b in found.live)
    shared = f" - {total - found.live_bytes:,} B in place" if total != found.live_bytes else ""
    return f"{found.label}: {' + '.join(parts)}{shared} = {found.live_bytes:,} B"


def ram_advice(graph: Graph, plan: MemoryPlan, found: Peak, budget: Budget) -> list[str]:
    """What to do about a RAM that is too small for its parts."""
    over = -budget.headroom_bytes
    arena = sum(p.size_bytes for p in budget.parts if p.use == "arena")
    allowed = arena - over
    lines = [f"RAM ({budget.memory}) is {format_bytes(over)} over; the peak is {describe_peak(found)}"]
    if allowed <= 0:
        others = ", ".join(f"{p.name} {p.size_bytes:,} B" for p in budget.parts if p.use != "arena" and p.size_bytes)
        lines.append(f"even without an arena it doesn't fit: {others}")
        return lines
    above = [t for t, live in plan.timeline().items() if live > allowed and 0 <= t < len(graph.ops)]
    if above:
        names = ", ".join(graph.label(graph.ops[t]) for t in above[:_SHOWN])
        more = f" and {len(above) - _SHOWN} more" if len(above) > _SHOWN else ""
        side = floor(100 * sqrt(allowed / found.live_bytes))
        channels = 100 * allowed // found.live_bytes
        need = "1 operator needs" if len(above) == 1 else f"{len(above)} operators need"
        lines.append(
            f"{need} more than the {allowed:,} B left for the arena: {names}{more}; it fits with about {side} % of the "
            f"input's width and height, or {channels} % of the channels there (estimated)"
        )
    else:
        lines.append(
            f"no operator needs more than the {allowed:,} B left for the arena; the plan of {plan.arena_bytes:,} B is "
            f"{plan.arena_bytes - plan.lower_bound_bytes:,} B above the lower bound"
        )
    return lines


def flash_advice(operators: Sequence[OpVerdict], budget: Budget) -> list[str]:
    """What to do about a flash that is too small for its parts."""
    over = -budget.headroom_bytes
    total = sum(op.weights_bytes + op.parameter_bytes for op in operators)
    lines = [f"flash ({budget.memory}) is {format_bytes(over)} over"]
    largest = sorted(operators, key=lambda op: -op.weights_bytes)[:_SHOWN]
    named = [f"{op.label} {op.weights_bytes:,} B" for op in largest if op.weights_bytes]
    if named:
        lines[0] += f"; the largest weights are {', '.join(named)}"
    if over < total:
        lines.append(
            f"it fits with {100 * (total - over) // total} % of the weights (estimated): narrow the layers above"
        )
    else:
        lines.append("even without weights it doesn't fit: the reserve and the code alone are too large")
    return lines


def other_targets(target: Target, parts: Sequence[Part]) -> list[str]:
    """A sentence that names targets of the same kind with room for these parts, region by region, if there are any."""
    enough = [
        name
        for name in targets.names()
        if name != target.name
        and (other := targets.load(name)).kind == target.kind
        and all(b.fits for b in place(other, parts))
    ]
    return [f"targets with enough memory: {', '.join(enough)}"] if enough else []


def set_up_by_hand(target: Target, budget: Budget) -> list[str]:
    """A sentence for each memory that would help, were it not for firmware that sets it up."""
    wanted = {p.use for p in budget.parts}
    return [
        f"{m.name} ({format_bytes(m.size_bytes)} of {m.kind}) may hold {' and '.join(m.holds)} too, once firmware of "
        "your own has set it up; edgeq's doesn't"
        for m in target.soc.memory
        if m.needs_setup and m.kind == budget.kind and wanted & set(m.holds)
    ]
