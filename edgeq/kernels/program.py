"""A whole graph as kernels: the choice and the lowering of each operator, made once and handed on."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph, Op
from edgeq.kernels.contract import Kernel, Lowering
from edgeq.kernels.macs import total_macs
from edgeq.kernels.table import choose
from edgeq.target import Core


@dataclass(frozen=True)
class Step:
    """One operator with the kernel that serves it."""

    op: Op
    kernel: Kernel
    lowering: Lowering


@dataclass(frozen=True)
class Program:
    """A graph lowered for a core.

    Attributes:
        graph: as it is computed: what was superfluous in the model is gone already.
        steps: one per operator, in order.
        model_macs: multiply-accumulates of the model as its file has it; fewer may be left to compute.
    """

    graph: Graph
    core: str
    steps: tuple[Step, ...]
    model_macs: int

    @property
    def lowerings(self) -> tuple[Lowering, ...]:
        """The lowerings alone, in order."""
        return tuple(step.lowering for step in self.steps)

    @property
    def macs(self) -> int:
        """Multiply-accumulates that an inference computes."""
        return sum(step.lowering.macs for step in self.steps)

    @property
    def sources(self) -> tuple[str, ...]:
        """The kernel files that it calls, each once, sorted."""
        return tuple(sorted({s for step in self.steps for s in step.kernel.sources}))

    def constant_bytes(self, section: str) -> int:
        """Bytes of constants in one section ("weights" or "parameters")."""
        return sum(len(c.data) for step in self.steps for c in step.lowering.constants if c.section == section)


def lower(graph: Graph, core: Core, model_macs: int | None = None) -> Program:
    """Choose a kernel for each operator and lower it.

    Args:
        model_macs: of the model that the graph was made from; the graph's own without.

    Raises:
        UnsupportedError: operators without a kernel; the message names each with the rule that it breaks.
    """
    steps: list[Step] = []
    refused: list[str] = []
    for op in graph.ops:
        choice = choose(graph, op, core)
        if choice.kernel is None:
            refused.append(f"{graph.label(op)}: {'; '.join(v.message for v in choice.violations)}")
        else:
            steps.append(Step(op, choice.kernel, choice.kernel.lower(graph, op)))
    if refused:
        more = f"\n  … and {len(refused) - 8} more" if len(refused) > 8 else ""
        raise UnsupportedError(
            f"{len(refused)} of {len(graph.ops)} operators can't run on {core.title}:\n  "
            + "\n  ".join(refused[:8])
            + more,
            where=graph.source or graph.name,
            next_step="`edgeq check` lists all of them with what to do",
            operators=refused,
        )
    return Program(graph, core.name, tuple(steps), total_macs(graph) if model_macs is None else model_macs)
