"""A package on disk: whole or not at all, and never on top of something else unless told so."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path, PurePosixPath

from edgeq import __version__
from edgeq.errors import UsageError
from edgeq.exports.contract import Export
from edgeq.files import write_folder

LIST_NAME = "edgeq-export.json"
"""Lists what an export wrote, so that the next one into the same folder removes what it doesn't write again."""


def write(export: Export, folder: Path, *, force: bool = False) -> tuple[str, ...]:
    """Write a package.

    Args:
        force: into a folder that has something in it: files of an earlier export that this one doesn't have are
            removed, what else is there stays.

    Returns:
        The paths of the files, relative to the folder, sorted.

    Raises:
        UsageError: the folder is not empty, or can't be written; nothing of it is changed then.
    """
    require_room(folder, force=force)
    stale = _listed(folder) - set(export.files)
    contents = {**export.files, LIST_NAME: _listing(export)}
    write_folder(folder, contents)
    for path in stale:
        _remove(folder, path)
    return tuple(sorted(contents))


def require_room(folder: Path, *, force: bool = False) -> None:
    """Raise UsageError where `folder` has something in it, before long work."""
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    raise UsageError(
        "is not empty",
        where=str(folder),
        next_step="choose another folder with -o, or --force: files of the same names are replaced then",
    )


def _listing(export: Export) -> bytes:
    told = {
        "edgeq": __version__,
        "format": export.format,
        "name": export.package.name,
        "version": export.package.version,
        "files": sorted(export.files),
    }
    return (json.dumps(told, indent=1) + "\n").encode()


def _listed(folder: Path) -> set[str]:
    """What an earlier export says that it wrote; paths that lead out of the folder are not believed."""
    try:
        files = json.loads((folder / LIST_NAME).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    paths = [PurePosixPath(f) for f in files if isinstance(f, str)] if isinstance(files, list) else []
    return {str(path) for path in paths if path.parts and not path.is_absolute() and ".." not in path.parts}


def _remove(folder: Path, path: str) -> None:
    """A file, and the folders that are empty then."""
    with suppress(OSError):
        (folder / path).unlink()
    for parent in PurePosixPath(path).parents:
        if parent.parts:
            with suppress(OSError):
                (folder / parent).rmdir()
