"""What the library tells while it works. Only `cli/` turns these into text; the library never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far one stage has come. `total` is None while it isn't known."""

    stage: str
    done: float
    total: float | None = None
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Notice:
    """Something a user should know that isn't an error."""

    text: str
    stage: str = ""


Event = Progress | Notice
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener of those who don't want to know."""
