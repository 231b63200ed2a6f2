"""What tests of the command line hand around."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one object on stdout."""
        return json.loads(self.out)


Edgeq = Callable[..., Said]
