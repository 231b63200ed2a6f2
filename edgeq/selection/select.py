"""Which row serves each operator."""

from __future__ import annotations

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph
from edgeq.kernels import FIRST_ROWS, Objective, Selection, lower
from edgeq.memory import arrange_small
from edgeq.selection.fastest import fastest
from edgeq.selection.leanest import leanest
from edgeq.selection.options import options_of
from edgeq.selection.smallest import smallest
from edgeq.target import Core

_WORTH = 50
"""Slower kernels must save one part in so many of the arena: 16 of 29,440 bytes were seen to cost twice the cycles."""


def select(graph: Graph, core: Core, objective: Objective) -> Selection:
    """The rows of a graph's operators that aren't the first that could serve: the same ones every time.

    Args:
        graph: as it is computed (`edgeq.optimize.computed`). Operators without any row are left out.
    """
    if objective is Objective.BALANCED:
        return FIRST_ROWS
    options = options_of(graph, core)
    if objective is Objective.LATENCY:
        return fastest(graph, core, options)
    if objective is Objective.SIZE:
        return smallest(core, options)
    found = leanest(graph, options)
    if not found.picks:
        return found
    try:
        first, other = (arrange_small(lower(graph, core, selection=each), core) for each in (FIRST_ROWS, found))
    except UnsupportedError:  # all layers are told of by whoever asked
        return found
    saved = first.plan.arena_bytes - other.plan.arena_bytes
    if saved * _WORTH >= first.plan.arena_bytes:
        return found
    note = f"slower kernels would save {max(saved, 0):,} B more than layers in stripes do: not worth their cycles"
    return Selection(objective, notes=(note,))
