"""Option: what a row of the kernel table would cost for one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeq.graph import Graph, Op
from edgeq.kernels import Kernel, Lowering, candidates
from edgeq.selection.cost import Costs, costs, counts, cycles
from edgeq.target import Core
from edgeq.units import align_up

ALIGNMENTS = {"weights": 32, "parameters": 4}
"""Of each constant in model.c (firmware_templates/model/model.c.j2)."""


@dataclass(frozen=True)
class Option:
    """One row for one operator.

    Attributes:
        lowering: without its constants.
        weights_bytes, parameter_bytes: of these, as they are aligned.
        cycles: estimated; None where none were fitted for the core or the kernel.
        error_percent: how far they may be off.
    """

    kernel: Kernel
    lowering: Lowering
    weights_bytes: int
    parameter_bytes: int
    cycles: float | None
    error_percent: float = 0.0

    @property
    def constant_bytes(self) -> int:
        """In flash, in all."""
        return self.weights_bytes + self.parameter_bytes

    @property
    def least_cycles(self) -> float:
        """If the estimate is off as far as it may be; 0 where there is none."""
        return (self.cycles or 0.0) * (1 - self.error_percent / 100)

    @property
    def most_cycles(self) -> float:
        """The same in the other direction; infinity where there is none."""
        return float("inf") if self.cycles is None else self.cycles * (1 + self.error_percent / 100)


Options = tuple[tuple[Option, ...], ...]
"""Of each operator, best first; () where no row can serve."""


def options_of(graph: Graph, core: Core) -> Options:
    """All that could serve each operator of a graph."""
    known = costs()
    fitted = known if known.core == core.name else None
    return tuple(
        tuple(_option(graph, op, kernel, fitted) for kernel in rows)
        for op, rows in zip(graph.ops, candidates(graph, core), strict=True)
    )


def _option(graph: Graph, op: Op, kernel: Kernel, known: Costs | None) -> Option:
    lowering = kernel.lower(graph, op)
    weights, parameters = (
        sum(align_up(len(c.data), alignment) for c in lowering.constants if c.section == section)
        for section, alignment in ALIGNMENTS.items()
    )
    bare = replace(lowering, constants=())
    if not lowering.calls:
        return Option(kernel, bare, weights, parameters, 0.0)
    cost = known.kernel.get(kernel.symbol) if known is not None else None
    if cost is None:
        return Option(kernel, bare, weights, parameters, None)
    return Option(kernel, bare, weights, parameters, cycles(cost, counts(graph, op, bare.macs)), cost.error_percent)


def price(first: Sequence[Option], taken: Sequence[Option]) -> str:
    """What taking these options in place of the first ones does to the cycles, in words; "" where nothing changes."""
    changed = [(a, b) for a, b in zip(first, taken, strict=True) if a.kernel is not b.kernel]
    if not changed:
        return ""
    unknown = sum(a.cycles is None or b.cycles is None for a, b in changed)
    if unknown:
        return f"the price in cycles isn't known for {unknown} of {len(changed)} changed layers"
    more = sum((b.cycles or 0) - (a.cycles or 0) for a, b in changed)
    error = sum(((b.cycles or 0) * b.error_percent + (a.cycles or 0) * a.error_percent) / 100 for a, b in changed)
    return f"estimated {more:+,.0f} cycles (±{error:,.0f})"
