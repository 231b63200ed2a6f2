"""A BudgetReport for people (text, Markdown) and for continuous integration (JUnit XML, SARIF)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePath
from xml.etree import ElementTree

from rich.console import RenderableType
from rich.text import Text

from edgeq import __version__
from edgeq.check import BudgetReport, Finding, Judgement
from edgeq.report.render import listing, to_text, verdict

_SIGNS = {"within": "ok", "exceeded": "EXCEEDED", "unknown": "not known"}
_RULES = {
    "fits": "The model runs on the target",
    "max_latency_ms": "Latency of one inference",
    "max_energy_uj": "Energy of one inference",
    "max_ram_bytes": "RAM of the firmware",
    "max_flash_bytes": "Flash of the firmware",
    "min_accuracy": "Share of right answers",
}


def budgets_text(report: BudgetReport, *, width: int = 100, color: bool = False) -> str:
    """The table of `edgeq check --budget`."""
    headings = ("model", "target", "budget", "value", "limit", "verdict", "note")
    columns = [(heading, heading in ("value", "limit")) for heading in headings]
    rows: list[list[RenderableType]] = [
        [*cells[:-2], Text(cells[-2], style="red" if f.status == "exceeded" else ""), Text(cells[-1], style="dim")]
        for j in report.judgements
        for f in j.findings
        for cells in [_cells(j, f)]
    ]
    parts: list[RenderableType] = [verdict(report.kept, headline(report)), Text("")]
    return to_text(*parts, listing(columns, rows, elastic=("model", "note")), width=width, color=color)


def headline(report: BudgetReport) -> str:
    """One sentence."""
    exceeded, unknown = len(report.of("exceeded")), len(report.of("unknown"))
    head = f"{report.path}, {len(report.judgements)} budgets: "
    return (
        head + (f"{exceeded} EXCEEDED" if exceeded else "nothing exceeded") + f", {unknown} not known" * (unknown > 0)
    )


def budgets_markdown(report: BudgetReport) -> str:
    """For a comment on a pull request."""

    def row(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    lines = [
        f"**{headline(report)}**",
        "",
        row(("model", "target", "budget", "value", "limit", "verdict", "note")),
        "|---|---|---|---:|---:|---|---|",
        *(row(_cells(j, f)) for j in report.judgements for f in j.findings),
    ]
    return "\n".join(lines) + "\n"


def budgets_junit(report: BudgetReport) -> str:
    """One test per limit: exceeded ones have failed, unknown ones were skipped."""
    cases = [(j, f) for j in report.judgements for f in j.findings]
    totals = {
        "tests": str(len(cases)),
        "failures": str(len(report.of("exceeded"))),
        "skipped": str(len(report.of("unknown"))),
    }
    root = ElementTree.Element("testsuites", totals)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "edgeq budgets", "errors": "0", **totals})
    for j, f in cases:
        named = {"classname": f"{j.limits.model} on {j.limits.target}", "name": f.name, "file": report.path}
        case = ElementTree.SubElement(suite, "testcase", named)
        if f.status != "within":
            kind = "failure" if f.status == "exceeded" else "skipped"
            ElementTree.SubElement(case, kind, {"message": sentence(j, f)})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def budgets_sarif(report: BudgetReport) -> str:
    """SARIF 2.1.0: exceeded limits are errors, unknown ones notes, at their budget's line."""
    levels = {"exceeded": "error", "unknown": "note"}
    results = [
        {
            "ruleId": f.name,
            "level": levels[f.status],
            "message": {"text": sentence(j, f)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": PurePath(report.path).as_posix()},
                        "region": {"startLine": j.line},
                    }
                }
            ],
        }
        for j in report.judgements
        for f in j.findings
        if f.status != "within"
    ]
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    driver = {"name": "edgeq", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[BudgetReport], str]] = {
    "junit": budgets_junit,
    "markdown": budgets_markdown,
    "sarif": budgets_sarif,
}


def sentence(j: Judgement, f: Finding) -> str:
    """A finding in one line."""
    head = f"{j.limits.model} on {j.limits.target}: "
    if f.name == "fits":
        return head + (f.note or "fits")
    if f.value is None:
        return head + f"{f.name} is not known: {f.note}"
    word = f" {f.provenance}" if f.provenance else ""
    return head + f"{f.name} {_figure(f.limit)}, is{word} {_figure(f.value)}" + (f" ({f.note})" if f.note else "")


def _cells(j: Judgement, f: Finding) -> tuple[str, ...]:
    note = " ".join(part for part in (f.provenance or "", f.note) if part)
    return (j.limits.model, j.limits.target, f.name, _figure(f.value), _figure(f.limit), _SIGNS[f.status], note)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
