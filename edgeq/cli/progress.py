"""Events as bars and notes on stderr. Bars only on a terminal; nothing is imported before there is one to draw."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import click

from edgeq.events import Event, Notice, Progress

if TYPE_CHECKING:
    import rich.progress


class Teller:
    """A listener; a context that takes its bars away."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._drawing = sys.stderr.isatty() and not quiet
        self._bars: rich.progress.Progress | None = None
        self._tasks: dict[str, rich.progress.TaskID] = {}
        self._told: set[str] = set()
        self._one_at_a_time = threading.Lock()  # several devices tell at once

    def __enter__(self) -> Teller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        with self._one_at_a_time:
            if isinstance(event, Notice):
                self._note(event)
            elif self._drawing:
                self._draw(event)

    def _note(self, notice: Notice) -> None:
        # Some stages tell the same thing for each file or sample.
        if self._quiet or notice.text in self._told:
            return
        self._told.add(notice.text)
        if self._bars is not None:
            self._bars.console.print(f"note: {notice.text}", markup=False, highlight=False)
        else:
            click.echo(f"note: {notice.text}", err=True)

    def _draw(self, event: Progress) -> None:
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total, detail="")
        self._bars.update(self._tasks[event.stage], completed=event.done, total=event.total, detail=event.detail[:40])


def _bars() -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left", style="dim"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=Console(stderr=True),
        transient=True,
    )
