"""A Survey as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.check import Budget, Row, Survey
from edgeq.report.render import listing, notices, to_text, verdict
from edgeq.units import format_bytes, short_bytes


def survey_text(found: Survey, *, width: int = 100, color: bool = False) -> str:
    """The table of `edgeq check` over many targets."""
    columns = [
        ("target", False),
        ("core", False),
        ("RAM used", True),
        ("of", True),
        ("flash used", True),
        ("of", True),
        ("verdict", False),
    ]
    rows: list[list[RenderableType]] = [
        [
            row.target.name,
            row.target.core.name,
            *_memory(row.fit.ram),
            *_memory(row.fit.flash),
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
        return f"fits, {row.headroom_percent:.0f} % free"
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


def _notes(found: Survey) -> list[str]:
    lines = ["sizes in bytes, estimated before the build; `edgeq check --target NAME` tells what they are made of"]
    findings = next((row.fit.findings for row in found.rows if row.fit.findings), ())
    return [*(violation.message for violation in findings), *lines]
