"""A model as the program that is generated from it: smaller where that is provably the same, then lowered."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import Program, lower
from edgeq.kernels.macs import total_macs
from edgeq.optimize.constant_channels import remove_constant_channels
from edgeq.target import Core


def compile_program(graph: Graph, core: Core) -> Program:
    """The program of a model for a core.

    Raises:
        UnsupportedError: operators without a kernel.
    """
    if graph.nested is not None:
        # A channel that never changes at one precision may at another.
        return lower(graph, core)
    return lower(remove_constant_channels(graph).graph, core, model_macs=total_macs(graph))
