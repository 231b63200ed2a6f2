"""A FlashResult as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.render import facts, notices, to_text, verdict
from edgeq.runners.contract import FlashResult
from edgeq.units import Provenance, format_bytes


def flash_text(result: FlashResult, target: str, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq flash`."""
    checked = "written and verified" if result.verified else "written, NOT verified"
    if result.answer:
        checked += ", and it answers"
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("device", f"{result.device.title} ({result.device.where}), by {result.device.runner}", None),
        ("image", f"{format_bytes(result.size_bytes)} at {result.base:#010x}", None),
        ("verification", result.verification, None),
        *((("answer", result.answer, None),) if result.answer else ()),
        ("time", f"{result.seconds:.1f} s", None),
    ]
    parts: list[RenderableType] = [verdict(True, f"{target}: {checked}"), Text(""), facts(rows)]
    return to_text(*parts, *notices(result.notices), width=width, color=color)
