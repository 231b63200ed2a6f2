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
    if not found.picks or _is_smaller(graph, core, found):
        return found
    note = f"leaner kernels for {len(found.picks)} layers would save nothing that running layers in stripes doesn't"
    return Selection(objective, notes=(note,))


def _is_smaller(graph: Graph, core: Core, found: Selection) -> bool:
    """Whether these rows make the arena smaller than the first ones do, layers in stripes where that helps."""
    try:
        first, other = (arrange_small(lower(graph, core, selection=each), core) for each in (FIRST_ROWS, found))
    except UnsupportedError:  # all layers are told of by whoever asked
        return True
    return other.plan.arena_bytes < first.plan.arena_bytes
