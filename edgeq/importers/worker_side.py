"""What the workers share: they run in other environments, so this file imports nothing but the standard library."""

from __future__ import annotations

import json
import os
from collections.abc import Callable


class WorkerError(Exception):
    """What the parent process turns into an EdgeqError: `kind` is unreadable, unsupported, missing or usage."""

    def __init__(self, kind: str, what: str, next_step: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.kind, self.what, self.next_step, self.detail = kind, what, next_step, detail

    def to_json(self) -> dict[str, str]:
        """The fields, for the answer on stdout."""
        return {"kind": self.kind, "what": self.what, "next_step": self.next_step, "detail": self.detail}


def first_line(failed: BaseException | None) -> str:
    """The line of an exception's text that says what is wrong."""
    lines = [line.strip() for line in str(failed).splitlines() if line.strip()]
    marked = [line for line in lines if "error:" in line.lower()]
    text = (marked or lines or [type(failed).__name__])[0]
    return text if len(text) <= 300 else text[:297] + "…"


def answer(work: Callable[[], dict[str, object]], missing_step: str) -> int:
    """Print the answer to one request; exit code 0 whenever there is one, also a negative one.

    Args:
        missing_step: what to do when an import fails.
    """
    answer_to = os.dup(1)
    os.dup2(2, 1)  # whatever the framework prints goes to stderr; stdout is for the answer
    said: dict[str, object]
    try:
        said = work()
    except WorkerError as error:
        said = {"error": error.to_json()}
    except ImportError as missing:
        said = {"error": WorkerError("missing", f"can't be imported: {missing}", missing_step).to_json()}
    os.write(answer_to, (json.dumps(said) + "\n").encode())
    return 0
