"""Where things are: the data folders (beside the package in a checkout, inside it when installed), cache and state."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeq.errors import EdgeqError


def folder(name: str) -> Path:
    """The folder `targets` or `firmware_templates`.

    Raises:
        EdgeqError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise EdgeqError(
        f"the folder '{name}' is missing from this installation",
        where=str(package),
        next_step="reinstall edgeq",
    )


def default_cache() -> Path:
    """Where edgeq keeps what can be made again, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "edgeq"
    if sys.platform == "win32":
        return Path.home() / "AppData" / "Local" / "edgeq" / "cache"
    return Path.home() / ".cache" / "edgeq"


def default_state() -> Path:
    """Where edgeq keeps what can't be made again, and isn't set by hand, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "edgeq"
    if sys.platform == "win32":
        return Path.home() / "AppData" / "Local" / "edgeq" / "state"
    return Path.home() / ".local" / "state" / "edgeq"
