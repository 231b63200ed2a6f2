"""A MemoryPlan's chart, drawn for a terminal: time to the right, addresses downwards."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.text import Text

from edgeq.memory import ArenaChart, ChartRow
from edgeq.report.render import listing, short_name, to_text, verdict
from edgeq.units import format_bytes

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_HEIGHT = 16
_FREE = "·"


def plan_text(chart: ArenaChart, *, width: int = 100, color: bool = False) -> str:
    """The arena over time: one letter per buffer, one column per operator (or several, in long networks)."""
    head = f"arena {format_bytes(chart.arena_bytes)}, planned = allocated; the peak is {chart.columns[chart.peak]}"
    parts: list[RenderableType] = [verdict(True, f"{head}; {_proven(chart)}"), Text("")]
    if chart.file_bytes is not None:
        parts.append(Text(f"in the file's order of operators it would take at least {format_bytes(chart.file_bytes)}"))
        parts.append(Text(""))
    parts += [Text(line, no_wrap=True) for line in _drawing(chart, width)]
    parts += [Text(""), _legend(chart)]
    return to_text(*parts, width=width, color=color)


def _proven(chart: ArenaChart) -> str:
    if chart.order_idle_bytes == 0:
        return "no placement and no order of the operators can be smaller"
    if chart.idle_bytes:
        return f"{format_bytes(chart.idle_bytes)} above the lower bound"
    if chart.order_idle_bytes is None:
        return "no placement can be smaller"
    return f"no placement can be smaller, and another order could save {format_bytes(chart.order_idle_bytes)} at most"


def _drawing(chart: ArenaChart, width: int) -> list[str]:
    margin = 11
    per_cell = max(1, math.ceil(len(chart.columns) / max(1, width - margin - 2)))
    cells = [range(i, min(i + per_cell, len(chart.columns))) for i in range(0, len(chart.columns), per_cell)]
    wide = max(1, min(4, (width - margin - 2) // len(cells)))
    letters = {id(row): _LETTERS[i % len(_LETTERS)] for i, row in enumerate(chart.rows)}
    lines = []
    for step in range(_HEIGHT):
        offset = chart.arena_bytes * step // _HEIGHT
        line = ""
        for cell in cells:
            # Of several operators in one cell the fullest is drawn, so that the peak never disappears.
            column = max(cell, key=lambda c: chart.live_bytes[c])
            row = _widest(chart, column, offset, chart.arena_bytes * (step + 1) // _HEIGHT)
            line += (letters[id(row)] if row else _FREE) * wide
        lines.append(f"{offset:>9,} │{line}")
    peak = next(i for i, cell in enumerate(cells) if chart.peak in cell)
    lines.append(" " * 10 + "└" + "─" * (wide * len(cells)))
    lines.append(" " * 11 + " " * (wide * peak) + "↑ peak")
    return lines


def _widest(chart: ArenaChart, column: int, start: int, end: int) -> ChartRow | None:
    """The buffer that takes most of a band of the arena then; of equals, the later one (which is in place)."""
    live = [row for row in reversed(chart.rows) if row.first <= column <= row.last]
    shares = [(min(end, row.offset + row.size_bytes) - max(start, row.offset), row) for row in live]
    found = max(shares, key=lambda share: share[0], default=(0, None))
    return found[1] if found[0] > 0 else None


def _legend(chart: ArenaChart) -> RenderableType:
    columns = [
        ("", False),
        ("offset", True),
        ("bytes", True),
        ("from", False),
        ("to", False),
        ("kind", False),
        ("what", False),
    ]
    rows: list[list[RenderableType]] = []
    for i, row in enumerate(chart.rows):
        # Whose scratch it is, the columns before say.
        label = "" if row.kind == "scratch" else short_name(row.label)
        took = f", in place of {_LETTERS[row.in_place_of % len(_LETTERS)]}" if row.in_place_of >= 0 else ""
        rows.append(
            [
                _LETTERS[i % len(_LETTERS)],
                f"{row.offset:,}",
                f"{row.size_bytes:,}",
                chart.columns[row.first],
                chart.columns[row.last],
                row.kind,
                label + took,
            ]
        )
    return listing(columns, rows, elastic=("what",))
