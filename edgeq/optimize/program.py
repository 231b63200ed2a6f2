"""A model as the program that is generated from it: smaller where that is provably the same, then lowered."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import FIRST_ROWS, Program, Selection, lower
from edgeq.kernels.macs import total_macs
from edgeq.optimize.constant_channels import remove_constant_channels
from edgeq.target import Core


def computed(graph: Graph) -> Graph:
    """What is left to compute of a model."""
    if graph.nested is not None:  # a channel that never changes at one precision may at another
        return graph
    return remove_constant_channels(graph).graph


def compile_program(graph: Graph, core: Core, selection: Selection = FIRST_ROWS) -> Program:
    """The program of a model for a core.

    Args:
        selection: of rows for `computed(graph)`.

    Raises:
        UnsupportedError: operators without a kernel.
    """
    return lower(computed(graph), core, total_macs(graph), selection)
