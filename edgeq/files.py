"""Outputs are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edgeq.errors import UsageError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file beside its place and move it there, so that no reader ever sees half of it.

    Raises:
        UsageError: the place can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # noqa: PTH101 - a name from mkstemp
        os.replace(temporary, path)  # noqa: PTH105
    except OSError as failed:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        raise UsageError(
            f"can't be written: {failed.strerror or failed}",
            where=str(path),
            next_step="choose another output path with -o",
        ) from failed


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Make sure, before long work, that its output can be written; nothing is made.

    Args:
        folder: the output is one, with files in it.

    Raises:
        UsageError: the place can't be written.
    """
    try:
        if not folder and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = path if folder else path.parent
        while not place.exists() and place != place.parent:
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as failed:
        raise UsageError(
            f"can't be written: {failed.strerror or failed}",
            where=str(path),
            next_step="choose another output path with -o",
        ) from failed


def write_tree(root: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files below `root`, each whole; `contents` maps relative POSIX paths to bytes."""
    for relative, data in contents.items():
        write_whole(root / relative, data)


def write_folder(root: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files of a folder, all or none: they are made beside their place first.

    A folder that is there keeps what else is in it.

    Raises:
        UsageError: the place can't be written; nothing of it is changed then.
    """
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent) as held:
            made = Path(held) / "files"
            made.mkdir()
            write_tree(made, contents)
            if not root.exists():
                os.replace(made, root)  # noqa: PTH105
                return
            for relative in contents:
                (root / relative).parent.mkdir(parents=True, exist_ok=True)
            for relative in contents:
                os.replace(made / relative, root / relative)  # noqa: PTH105
    except OSError as failed:
        raise UsageError(
            f"can't be written: {failed.strerror or failed}",
            where=str(root),
            next_step="choose another output folder with -o",
        ) from failed
