"""What became of several devices, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from edgeq.errors import EdgeqError
from edgeq.report.render import listing, to_text, verdict


@dataclass(frozen=True)
class Row:
    """One device.

    Attributes:
        address: what leads to it.
        told: its result in a few words; body: its JSON; text: its own report. Empty where there is an error.
    """

    name: str
    target: str
    address: str
    seconds: float
    passed: bool
    told: str = ""
    text: str = ""
    body: Mapping[str, object] | None = None
    error: EdgeqError | None = None


def bench_text(rows: Sequence[Row], *, width: int = 100, color: bool = False) -> str:
    """Each device's report, then one table of all."""
    good = sum(row.passed for row in rows)
    parts: list[RenderableType] = [verdict(good == len(rows), f"{good} of {len(rows)} devices are well"), Text("")]
    cells: list[Sequence[RenderableType]] = [
        (row.name, row.target or "–", row.address, row.told or _first(row), f"{row.seconds:.1f} s") for row in rows
    ]
    columns = [("device", False), ("target", False), ("where", False), ("result", False), ("took", True)]
    parts.append(listing(columns, cells, elastic=("where", "result")))
    for row in rows:
        if row.error is not None:
            parts += [Text(""), Text(f"{row.name}: {row.error}", style="red")]
    own = "".join(f"── {row.name}\n{row.text}\n" for row in rows if row.text)
    return own + to_text(*parts, width=width, color=color)


def bench_json(rows: Sequence[Row]) -> dict[str, object]:
    """The body: `passed`, and one object a device with `result` or `error`."""
    return {
        "passed": all(row.passed for row in rows),
        "devices": [
            {
                "device": row.name,
                "target": row.target,
                "where": row.address,
                "seconds": round(row.seconds, 3),
                "passed": row.passed,
                **({"error": row.error.to_json()} if row.error is not None else {"result": row.body}),
            }
            for row in rows
        ],
    }


def _first(row: Row) -> str:
    return f"{type(row.error).__name__}, see below" if row.error is not None else ""
