"""A Survey as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.check import Budget, Estimate, Row, Survey, Unknown
from edgeq.report.render import listing, notices, to_text, verdict
from edgeq.units import format_bytes, format_duration_ms, short_bytes


def survey_text(found: Survey, *, width: int = 100, color: bool = False) -> str:
    """The table of `edgeq check` over many targets."""
    timed = any(isinstance(row.fit.latency, Estimate) for row in found.rows)
    columns = [
        ("target", False),
        ("RAM used", True),
        ("of", True),
        ("flash used", True),
        ("of", True),
        *((("estimated latency", True), ("estimated energy", True)) if timed else ()),
        ("free", True),
        ("verdict", False),
    ]
    rows: list[list[RenderableType]] = [
        [
            row.target.name,
            *_memory(row.fit.ram),
            *_memory(row.fit.flash),
            *(_time(row.fit.latency) if timed else ()),
            f"{row.headroom_percent:.0f} %",
            Text(said(row), style="green" if row.fit.fits else "red"),
        ]
        for row in found.rows
    ]
    head = f"{found.model} fits {len(found.fitting)} of {len(found.rows)} targets"
    told = f" ({found.operators} operators, {found.macs:,} MACs)" if found.fitting else ""
    parts: list[RenderableType] = [
        verdict(bool(found.fitting), head + told),
        Text(""),
        listing(columns, rows, elastic=("verdict",)),
    ]
    return to_text(*parts, *notices(_notes(found)), width=width, color=color)


def said(row: Row) -> str:
    """The verdict and the figure that decides it."""
    fit = row.fit
    if fit.fits:
        return "fits"
    if fit.supported:
        over = [f"{format_bytes(-b.headroom_bytes)} too much for {b.memory}" for b in fit.budgets if not b.fits]
        return f"DOES NOT FIT: {', '.join(over)}"
    refused = sum(not op.supported for op in fit.operators)
    why = f"{refused} of {len(fit.operators)} operators" if refused else fit.findings[0].rule.replace("_", " ")
    others = f"; {' and '.join(row.other_runtimes)} can run it" if row.other_runtimes else ""
    return f"NOT SUPPORTED: {why}{others}"


def _memory(budget: Budget) -> tuple[str, str]:
    """What is used to the byte, and what there is; dashes where a memory isn't asked for."""
    if not budget.parts:
        return "-", "-"
    return f"{budget.used_bytes:,}", short_bytes(budget.available_bytes)


def _time(latency: Estimate | Unknown) -> tuple[str, str]:
    """Latency and energy with their bands; dashes where nothing is known."""
    if isinstance(latency, Unknown):
        return "–", "–"
    told = f"{format_duration_ms(latency.ms)} ±{latency.error_percent:.0f} %"
    if latency.energy_uj is None or latency.energy_error_percent is None:
        return told, "–"
    return told, f"{latency.energy_uj:,.0f} µJ ±{latency.energy_error_percent:.0f} %"


def _notes(found: Survey) -> list[str]:
    lines = ["sizes in bytes, estimated before the build; `edgeq check --target NAME` tells what they are made of"]
    known = [row.fit.latency for row in found.rows if isinstance(row.fit.latency, Estimate)]
    if known:
        lines.append(f"latency and energy are estimated, with the error of the fit: {known[0].source}")
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        if row.fit.supported and isinstance(row.fit.latency, Unknown):
            reasons.setdefault(row.fit.latency.reason, []).append(row.target.name)
    for reason, names in reasons.items():
        lines.append(
            f"no latency for {', '.join(names[:2])}{f' and {len(names) - 2} more' if names[2:] else ''}: {reason}"
        )
    findings = next((row.fit.findings for row in found.rows if row.fit.findings), ())
    return [*(violation.message for violation in findings), *lines]
