"""Where the data folders are: beside the package in a checkout, inside it when installed as a wheel."""

from __future__ import annotations

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
