"""A FitReport as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.check import Budget, Estimate, FitReport, OpVerdict, Part, Unknown, describe_peak
from edgeq.report.render import facts, listing, notices, provenance, reasons, short_name, to_text, verdict
from edgeq.units import Provenance, format_bytes, format_cycles, format_duration_ms

_MOST_REFUSALS = 20


def fit_text(report: FitReport, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq check`. Sizes without a word are exact: the build allocates these."""
    parts: list[RenderableType] = [verdict(report.fits, headline(report)), Text("")]
    refused = [op for op in report.operators if not op.supported]
    if report.findings or refused:
        parts += [*_refusals(report, refused), Text("")]
    parts.append(_budgets(report))
    if report.peak is not None:
        parts += [Text(""), Text(f"peak of the arena: {describe_peak(report.peak)}")]
    if report.supported:
        parts += [Text(""), *_latency(report.latency)]
    parts += reasons(report.objective.value, report.choices, [(op.label, op.why) for op in report.operators])
    inexact = [op for op in report.operators if op.tolerance]
    parts += [Text(f"not bit-exact: {op.label}: {op.tolerance}") for op in inexact]
    if report.advice:
        parts += [Text(""), Text("what would make it fit:", style="bold")]
        parts += [Text(f"  - {line}") for line in report.advice]
    return to_text(*parts, *notices(report.notices), width=width, color=color)


def headline(report: FitReport) -> str:
    """One sentence: yes or no, and the figure that decides it."""
    head = f"{report.model} on {report.target}: "
    refused = sum(not op.supported for op in report.operators)
    if not report.supported:
        problem = f"{refused} of {len(report.operators)} operators are not supported"
        # The findings follow in full.
        return head + "NOT SUPPORTED: " + (problem if refused else report.findings[0].message.split(". ")[0])
    over = [b for b in report.budgets if not b.fits]
    if over:
        short = ", ".join(f"{format_bytes(-b.headroom_bytes)} too much for {b.memory}" for b in over)
        return head + f"DOES NOT FIT: {short}"
    return head + f"fits ({len(report.operators)} operators, {report.macs:,} MACs)"


def _refusals(report: FitReport, refused: list[OpVerdict]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"  {v.message}") for v in report.findings]
    for op in refused[:_MOST_REFUSALS]:
        lines.append(Text(f"  {op.op} #{op.index} ({short_name(op.name)})", style="bold"))
        lines += [Text(f"    {violation.message}") for violation in op.violations]
    if len(refused) > _MOST_REFUSALS:
        lines.append(Text(f"  … and {len(refused) - _MOST_REFUSALS} more (all of them in --json)"))
    return lines


def _latency(found: Estimate | Unknown) -> list[RenderableType]:
    """Latency and energy with the errors of their estimates, or why there are none."""
    if isinstance(found, Unknown):
        return [Text(f"latency: not estimated: {found.reason}")]
    cycles = format_cycles(found.cycles, found.clock_hz)
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("latency", f"{format_duration_ms(found.ms)} ±{found.error_percent:.1f} % ({cycles})", "estimated")
    ]
    if found.energy_uj is not None and found.energy_error_percent is not None:
        rows.append(("energy", f"{found.energy_uj:,.0f} µJ ±{found.energy_error_percent:.0f} %", "estimated"))
    return [facts(rows), Text(f"costs of the layers: {found.source}", style="dim")]


def _budgets(report: FitReport) -> RenderableType:
    rows: list[list[RenderableType]] = []
    for budget in report.budgets:
        rows.append(_total(budget))
        rows += [_part(part) for part in budget.parts if part.size_bytes]
    columns = [("memory", False), ("bytes", True), ("", False), ("", False)]
    return listing(columns, rows)


def _total(budget: Budget) -> list[RenderableType]:
    word = provenance("estimated") if budget.estimated else Text("")
    left = (
        f"{format_bytes(budget.headroom_bytes)} free" if budget.fits else f"{format_bytes(-budget.headroom_bytes)} OVER"
    )
    told = f"of {format_bytes(budget.available_bytes)}: {left}, {budget.headroom_percent:.1f} %"
    style = "bold" if budget.fits else "bold red"
    return [
        Text(f"{budget.memory} ({budget.kind})", style=style),
        Text(f"{budget.used_bytes:,}", style=style),
        word,
        Text(told, style=style),
    ]


def _part(part: Part) -> list[RenderableType]:
    word = provenance("estimated") if part.estimated else Text("")
    return [f"  {part.name}", f"{part.size_bytes:,}", word, Text(part.source, style="dim")]
