"""A plan in which each operator's input lies over its output exactly as far as its kernel says that it may."""

from __future__ import annotations

from edgeq.kernels import Program
from edgeq.memory import Buffer, MemoryPlan, plan_memory

_ALIGNMENT = 8
"""Of tensors: the widest element. The planner's own is coarser, and would hide a claim that is a few bytes too bold."""


def overlapped(program: Program) -> MemoryPlan:
    """The plan of a single operator with all inputs that may overlap over its output, as far as they may.

    Inputs that are each other's neighbours then (both over the output) keep clear of one another. Other programs, and
    operators that rename memory or whose inputs and outputs are the same, are planned as a build is.
    """
    graph = program.graph
    usual = plan_memory(graph, program.lowerings)
    if len(program.steps) != 1:
        return usual
    (step,) = program.steps
    op, lowering = step.op, step.lowering
    sources = _sources(program)
    if lowering.alias or not sources or set(op.outputs) & set(op.inputs) or set(graph.inputs) & set(graph.outputs):
        return usual
    output = op.outputs[0]
    size = {t: _up(graph.tensors[t].size_bytes) for b in usual.buffers for t in b.tensors}
    offsets = {output: 0}
    taken: list[tuple[int, int]] = []
    for source, least in sources.items():
        at = _up(least)
        for start, end in sorted(taken):  # the lowest place from `at` that is free of the inputs before
            if at < end and start < at + size[source]:
                at = end
        offsets[source] = at
        taken.append((at, at + size[source]))
    below = min(offsets.values())
    end = max(offsets[t] + size[t] for t in offsets) - below
    offsets = {t: at - below for t, at in offsets.items()}
    made = []
    for buffer in usual.buffers:
        if buffer.tensors and buffer.tensors[0] in offsets:
            at = offsets[buffer.tensors[0]]
        else:
            at, end = _up(end, 16), _up(end, 16) + buffer.size_bytes
        made.append(Buffer(buffer.tensors, buffer.scratch_of, buffer.first_op, buffer.last_op, at, buffer.size_bytes))
    return MemoryPlan(_up(end, 16) + 16, 0, _ALIGNMENT, tuple(made))


def _sources(program: Program) -> dict[int, int]:
    """Tensor → D, of the inputs that may overlap and aren't needed afterwards."""
    graph, (step,) = program.graph, program.steps
    found: dict[int, int] = {}
    refused: set[int] = set()
    for position, index in enumerate(step.op.inputs):
        if index < 0 or graph.tensors[index].is_constant:
            continue
        least = step.lowering.overlap.get(position)
        if least is None or graph.tensors[index].is_variable:
            refused.add(index)
        else:
            found[index] = max(found.get(index, least), least)
    return {t: least for t, least in found.items() if t not in refused}


def _up(size: int, to: int = _ALIGNMENT) -> int:
    return -(-size // to) * to
