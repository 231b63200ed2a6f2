"""The one object that `--json` puts on stdout."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from edgeq import __version__
from edgeq.errors import EdgeqError

SCHEMA_VERSION = 1


def document(command: str, body: Mapping[str, object]) -> str:
    """A result: `schema_version`, `command`, `tool_version`, then the command's own keys."""
    return _dump({"schema_version": SCHEMA_VERSION, "command": command, "tool_version": __version__, **body})


def error_document(command: str, error: EdgeqError) -> str:
    """An error, with the same head; programs look for the key `error`."""
    return document(command, {"error": error.to_json()})


def plain(value: object) -> Any:
    """A product as JSON's types: dataclasses by field, enums by value, paths and numpy scalars unwrapped.

    NaN and infinities, which JSON doesn't have, become null.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def _dump(value: object) -> str:
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
