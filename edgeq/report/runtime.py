"""A RuntimeReport as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.render import facts, notices, short_name, to_text, verdict
from edgeq.runtimes import ArenaEstimate, RuntimeReport, Verdict

_MOST = 20


def runtime_text(report: RuntimeReport, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq check --runtime`."""
    parts: list[RenderableType] = [verdict(report.runs, headline(report))]
    parts += [Text(f"  {v.message}") for v in report.findings]
    for title, operators in (("refused", report.refused), ("left to the CPU", report.fallen_back)):
        if operators:
            parts += [Text(""), Text(f"{title}:", style="bold"), *_operators(operators)]
    if report.arena is not None:
        parts += [Text(""), arena_facts(report.arena)]
    notes = [f"{v.op} #{v.index}: {v.note}" for v in report.operators if v.note]
    parts += [Text(""), Text(f"table: {report.runtime_version}", style="dim")]
    return to_text(*parts, *notices((*notes, *report.notices)), width=width, color=color)


def headline(report: RuntimeReport) -> str:
    """One sentence: yes or no, and how much of it where."""
    head = f"{report.model} on {report.runtime_title}: "
    count = len(report.operators)
    if report.refused:
        return head + f"REFUSED: {len(report.refused)} of {count} operators"
    if report.findings:
        return head + "REFUSED"
    if report.fallen_back:
        left = len(report.fallen_back)
        return (
            head
            + f"runs: {count - left} operators there, {left} on the CPU by {report.falls_back_to}"
            + (f", {report.handovers} handovers" if report.handovers else "")
        )
    return head + f"runs ({count} operators)"


def _operators(operators: tuple[Verdict, ...]) -> list[RenderableType]:
    """One line per rule and operator; those that a rule says the same of are counted."""
    lines: list[RenderableType] = []
    same: dict[str, list[Verdict]] = {}
    for op in operators:
        same.setdefault(op.violation.message if op.violation else "", []).append(op)
    for message, held in list(same.items())[:_MOST]:
        first = f"{held[0].op} #{held[0].index} ({short_name(held[0].short_name)})"
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        lines += [Text(f"  {first}{more}", style="bold"), Text(f"    {message}")]
    if len(same) > _MOST:
        lines.append(Text(f"  … and {len(same) - _MOST} more reasons (all of them in --json)"))
    return lines


def arena_facts(arena: ArenaEstimate) -> RenderableType:
    """TFLM's arena, part by part."""
    kernels = f"CMSIS-NN, {arena.isa} build" if arena.isa else "reference kernels"
    return facts(
        [
            ("tensor arena", f"{arena.needed_bytes:,} bytes (32-bit Arm, {kernels})", "estimated"),
            ("  head", f"{arena.head_bytes:,} bytes: activations and scratch", "estimated"),
            ("  tail", f"{arena.tail_bytes:,} bytes: what stays", "estimated"),
            ("  arena_used_bytes()", f"{arena.used_bytes:,}", "estimated"),
        ]
    )
