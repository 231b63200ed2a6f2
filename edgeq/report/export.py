"""An Export as text and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from rich.console import RenderableType
from rich.text import Text

from edgeq.exports import Export
from edgeq.report.render import facts, notices, reasons, to_text, verdict
from edgeq.report.runtime import arena_facts
from edgeq.units import Provenance, format_bytes


def export_text(
    export: Export, model: str, folder: PurePath, sizes: Mapping[str, int], *, width: int = 100, color: bool = False
) -> str:
    """The report of `edgeq export`.

    Args:
        sizes: path → bytes of the files written.
    """
    head = verdict(True, f"{model} → {folder}: {export.title} '{export.package.name}' {export.package.version}")
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("files", f"{len(sizes)}, {format_bytes(sum(sizes.values()))} of source", None)
    ]
    if export.kernels:
        rows.append(("kernels", export.kernels, None))
    for when, size in (export.arena_bytes or {}).items():
        rows.append((f"arena, {when.lstrip('_')}" if when else "arena", format_bytes(size), None))
    if export.samples is not None:
        rows += [
            ("weights", format_bytes(export.weights_bytes), None),
            ("example's input", export.samples.source, None),
            ("expected output", export.samples.reference, None),
        ]
    rows.append(("next", export.next_step, None))
    parts: list[RenderableType] = [head, Text(""), facts(rows)]
    if export.report is not None and export.report.arena is not None:
        parts += [Text(""), arena_facts(export.report.arena)]
    parts += reasons(export.optimize, export.choices, export.changed)
    told = export.samples.notices if export.samples is not None else ()
    return to_text(*parts, *notices(told), width=width, color=color)


def export_json(export: Export, folder: PurePath, sizes: Mapping[str, int]) -> dict[str, object]:
    """The body of `export --json`."""
    body: dict[str, object] = dict(export.report.to_json()) if export.report is not None else {}
    body |= {
        "format": export.format,
        "name": export.package.name,
        "version": export.package.version,
        "output": str(folder),
        "files": [{"path": path, "bytes": size} for path, size in sorted(sizes.items())],
    }
    if export.samples is not None:
        body |= {
            "kernels": export.kernels,
            "optimize": export.optimize,
            "choices": list(export.choices),
            "changed": [{"layer": label, "why": why} for label, why in export.changed],
            "memory": {
                "arena_bytes": max((export.arena_bytes or {}).values(), default=0),
                "arena_bytes_by_kernels": {
                    when.lstrip("_") or "all": size for when, size in (export.arena_bytes or {}).items()
                },
                "weights_bytes": export.weights_bytes,
            },
            "macs": export.macs,
            "example": {
                "inferences": len(export.samples.samples),
                "inputs": export.samples.source,
                "expected": export.samples.reference,
                "notices": list(export.samples.notices),
            },
        }
    return body
