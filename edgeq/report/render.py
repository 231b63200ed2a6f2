"""Rich renderables into strings. Nothing here prints."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.units import Provenance

_STYLES: dict[str, str] = {"measured": "green", "simulated": "cyan", "estimated": "yellow"}


def to_text(*parts: RenderableType, width: int = 100, color: bool = False) -> str:
    """Render one below the other.

    Args:
        width: columns; tables fold to it.
        color: with terminal escapes.
    """
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    lines = stream.getvalue().splitlines()
    return "\n".join(line if color else line.rstrip() for line in lines) + "\n"


def provenance(word: Provenance) -> Text:
    """The word that every figure carries."""
    return Text(word, style=_STYLES[word])


def verdict(good: bool, text: str) -> Text:
    """A first line: green or red."""
    return Text(text, style="bold green" if good else "bold red")


def facts(rows: Sequence[tuple[str, RenderableType, Provenance | None]]) -> Table:
    """Name, figure, and how it came about."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for name, value, word in rows:
        table.add_row(name, value, provenance(word) if word else "")
    return table


def listing(
    columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[RenderableType]], *, elastic: Sequence[str] = ()
) -> Table:
    """A table.

    Args:
        columns: heading, and whether it holds numbers: right-aligned, and never cut when the terminal is narrow.
        elastic: headings of the columns that are; without it, any column of words.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for place, (heading, numeric) in enumerate(columns):
        widest = max((len(str(row[place])) for row in rows), default=0)
        whole = numeric or (elastic and heading not in elastic)
        table.add_column(
            heading,
            justify="right" if numeric else "left",
            # Rich takes room first from columns that may wrap; names have no spaces to wrap at, so they are cut.
            no_wrap=bool(whole) or not elastic,
            overflow="ellipsis",
            min_width=max(widest, len(heading)) if whole else None,
        )
    for row in rows:
        table.add_row(*row)
    return table


def notices(texts: Sequence[str]) -> list[RenderableType]:
    """`note: …` lines, below a report."""
    return [Text(f"note: {text}", style="yellow") for text in texts]


def reasons(optimize: str, choices: Sequence[str], layers: Sequence[tuple[str, str]]) -> list[RenderableType]:
    """What kernels were chosen for and why, below a report; nothing where the default was.

    Args:
        choices: what was weighed, one sentence each.
        layers: (label, why another kernel than the first that could serve; "" where it is the first).
    """
    if optimize == "balanced":
        return []
    changed = [(label, why) for label, why in layers if why]
    return [
        Text(""),
        Text(f"optimized for {optimize}", style="bold"),
        *(Text(f"  {line}") for line in choices),
        *(Text(f"  {label}: {why}") for label, why in changed),
        *([] if changed else [Text("  every layer keeps the first kernel that can serve it, as balanced does")]),
    ]


def short_name(name: str, longest: int = 28) -> str:
    """A tensor's name, cut in front: converters put the telling part last, and repeat it after `;`."""
    first = name.split(";")[0]
    return first if len(first) <= longest else "…" + first[-(longest - 1) :]
