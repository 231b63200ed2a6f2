"""Which row serves each operator."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import FIRST_ROWS, Objective, Selection
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
    return leanest(graph, options)
