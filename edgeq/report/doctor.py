"""A Diagnosis as text and JSON."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from edgeq.report.diagnosis import Diagnosis, Finding, purpose
from edgeq.report.json import plain
from edgeq.report.render import listing, to_text, verdict

_MARKS = {"ok": ("ok", "green"), "missing": ("MISSING", "red"), "warning": ("warning", "yellow"), "info": ("-", "")}


def doctor_text(diagnosis: Diagnosis, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq doctor`."""
    rows: list[list[RenderableType]] = []
    seen = ""
    for finding in diagnosis.findings:
        rows.append(_row(finding, "" if finding.area == seen else finding.area))
        seen = finding.area
    parts: list[RenderableType] = [
        listing([("", False), ("", False), ("", False), ("version", False), ("", False)], rows),
        Text(""),
    ]
    if not diagnosis.core_works:
        parts.append(verdict(False, "edgeq's own packages are incomplete: pip install --force-reinstall edgeq"))
    elif diagnosis.missing_extras:
        parts.append(verdict(True, "the core works. Missing:"))
        parts += [Text(f"  {purpose(extra)}: pip install 'edgeq[{extra}]'") for extra in diagnosis.missing_extras]
    else:
        parts.append(verdict(True, "everything is here"))
    return to_text(*parts, width=width, color=color)


def doctor_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The body of `doctor --json`."""
    return {
        "core_works": diagnosis.core_works,
        "missing_extras": list(diagnosis.missing_extras),
        "findings": plain(diagnosis.findings),
    }


def _row(finding: Finding, area: str) -> list[RenderableType]:
    word, style = _MARKS[finding.state]
    told = "; ".join(filter(None, (finding.detail, finding.fix)))
    return [Text(area, style="bold"), finding.name, Text(word, style=style), finding.version, told]
