"""A model as a program whose kernels are chosen for something, in order and with its memory planned."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import Objective
from edgeq.memory import Arrangement, arrange, arrange_small
from edgeq.optimize import compile_program, computed
from edgeq.selection.select import select
from edgeq.target import Core


def compile_model(graph: Graph, core: Core, objective: Objective = Objective.BALANCED) -> Arrangement:
    """The program of a model for a core, ready for code to be generated from it.

    Raises:
        UnsupportedError: operators without a kernel, or one that only renames memory is given a constant or a variable.
    """
    program = compile_program(graph, core, select(computed(graph), core, objective))
    return arrange_small(program, core) if objective is Objective.RAM else arrange(program)
