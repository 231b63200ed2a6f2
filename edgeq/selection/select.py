"""Which row serves each operator."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import FIRST_ROWS, Objective, Selection
from edgeq.target import Core


def select(graph: Graph, core: Core, objective: Objective) -> Selection:
    """The rows of a graph's operators that aren't the first that could serve.

    Args:
        graph: as it is computed (`edgeq.optimize.computed`). Operators without any row are left out.
    """
    if objective is Objective.BALANCED:
        return FIRST_ROWS
    return Selection(objective)
