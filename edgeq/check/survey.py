"""Survey: one model on many targets, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq import runtimes
from edgeq.check.checker import check_many
from edgeq.check.fit import Budget, FitReport
from edgeq.graph import Graph
from edgeq.kernels import Objective
from edgeq.target import Target
from edgeq.target.schema import OWN_ENGINE


@dataclass(frozen=True)
class Row:
    """One target.

    Attributes:
        fit: of edgeq's own engine.
        other_runtimes: where that doesn't support the model: the target's other runtimes that do.
    """

    target: Target
    fit: FitReport
    other_runtimes: tuple[str, ...] = ()

    @property
    def headroom_percent(self) -> float:
        """What is left of the memory that is fullest; negative when it doesn't fit."""
        return min(b.headroom_percent for b in self.fit.budgets)

    @property
    def verdict(self) -> str:
        """One word for programs: "fits", "does not fit" or "not supported"."""
        return "fits" if self.fit.fits else "does not fit" if self.fit.supported else "not supported"

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        flash = self.fit.flash
        return {
            "target": self.target.name,
            "kind": self.target.kind,
            "core": self.target.core.name,
            "clock_hz": self.target.clock_hz,
            "fits": self.fit.fits,
            "supported": self.fit.supported,
            "verdict": self.verdict,
            "headroom_percent": round(self.headroom_percent, 2),
            "ram": _memory(self.fit.ram),
            "flash": _memory(flash) if flash.parts else None,
            "latency": self.fit.latency.to_json(),
            "findings": [v.message for v in self.fit.findings],
            "refused_operators": [op.label for op in self.fit.operators if not op.supported],
            "other_runtimes": list(self.other_runtimes),
        }


@dataclass(frozen=True)
class Survey:
    """The answer of a check over many targets.

    Attributes:
        rows: those that fit first, then those without enough memory, then those that don't support the model; in
            each group by what is left of the fullest memory.
    """

    model: str
    model_sha256: str
    macs: int
    operators: int
    rows: tuple[Row, ...]

    @property
    def fitting(self) -> tuple[Row, ...]:
        """The targets that it runs on."""
        return tuple(row for row in self.rows if row.fit.fits)

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "model": {"path": self.model, "sha256": self.model_sha256, "macs": self.macs},
            "fits": [row.target.name for row in self.fitting],
            "targets": [row.to_json() for row in self.rows],
        }


def survey(
    graph: Graph,
    targets: Sequence[Target],
    *,
    reserve_ram_bytes: int = 0,
    reserve_flash_bytes: int = 0,
    objective: Objective = Objective.BALANCED,
) -> Survey:
    """Check a model on many targets.

    Raises:
        UsageError: a reserve below zero.
    """
    reports = check_many(
        graph,
        targets,
        reserve_ram_bytes=reserve_ram_bytes,
        reserve_flash_bytes=reserve_flash_bytes,
        objective=objective,
    )
    refusing = [t for t, report in zip(targets, reports, strict=True) if not report.supported]
    asked = sorted({name for t in refusing for name in _others(t)})
    takes = {name for name in asked if runtimes.judge(graph, name).runs}
    rows = [
        Row(t, report, () if report.supported else tuple(name for name in _others(t) if name in takes))
        for t, report in zip(targets, reports, strict=True)
    ]
    rows.sort(key=lambda row: (not row.fit.fits, not row.fit.supported, -row.headroom_percent, row.target.name))
    return Survey(
        model=graph.source or graph.name,
        model_sha256=graph.sha256,
        macs=max((report.macs for report in reports), default=0),
        operators=len(graph.ops),
        rows=tuple(rows),
    )


def _others(target: Target) -> tuple[str, ...]:
    return tuple(name for name in target.board.runtimes if name != OWN_ENGINE)


def _memory(budget: Budget) -> dict[str, object]:
    return {
        "used_bytes": budget.used_bytes,
        "available_bytes": budget.available_bytes,
        "estimated": budget.estimated,
        "fits": budget.fits,
    }
