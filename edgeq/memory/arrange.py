"""A program in the order, and with the plan, that need the least memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeq.graph import Graph, verify
from edgeq.kernels import Lowering, Program
from edgeq.memory.order import find_order, reordered, reordered_program
from edgeq.memory.plan import MemoryPlan
from edgeq.memory.planner import plan_memory


@dataclass(frozen=True)
class Arrangement:
    """A program that is ready for code to be generated from it.

    Attributes:
        program: as given, or with its operators in another order.
        plan: of that program; `plan.ordering` says what became of the order.
    """

    program: Program
    plan: MemoryPlan


def arrange(program: Program) -> Arrangement:
    """Plan a program, in another order than the file's only where that makes its arena smaller.

    Raises:
        UnsupportedError: an operator that only renames memory is given a constant or a variable.
    """
    plan = plan_in_order(program.graph, program.lowerings)
    assert plan.ordering is not None
    return Arrangement(program if plan.ordering.is_files else reordered_program(program, plan.ordering.order), plan)


def plan_in_order(graph: Graph, lowerings: Sequence[Lowering]) -> MemoryPlan:
    """The plan of a graph in the order that needs the least memory, which `MemoryPlan.ordering` names.

    Its operator indices are places in that order: those of `memory.reordered(graph, plan.ordering.order)`.

    Raises:
        UnsupportedError: as `arrange` does.
    """
    plan = plan_memory(graph, lowerings)
    found = find_order(graph, lowerings, plan.alignment)
    if not found.is_files:
        other = reordered(graph, found.order)
        verify(other)
        smaller = plan_memory(other, [lowerings[place] for place in found.order])
        if smaller.arena_bytes < plan.arena_bytes:
            return replace(smaller, ordering=found)
        found = replace(found, order=tuple(range(len(graph.ops))), peak_bytes=found.file_peak_bytes)
    return replace(plan, ordering=found)
