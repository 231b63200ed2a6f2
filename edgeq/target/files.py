"""Finding and reading target files: the project's own, and a folder of the user's.

A board names its soc and a soc names its core, so there is nothing that could form a cycle. Loading one target
parses its three files and no other.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from edgeq import resources
from edgeq.errors import TargetFileError, UsageError
from edgeq.target.model import Target
from edgeq.target.schema import Board, Core, Soc
from edgeq.target.validate import validate, validate_soc
from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
FileKind = Literal["board", "soc", "core"]
BOARD_FOLDERS = ("boards", "linux", "phones")


def names(extra: Path | None = None) -> tuple[str, ...]:
    """Every target's name, sorted; those in the folder `extra` too."""
    return tuple(sorted(_boards(extra)))


def load(name: str, extra: Path | None = None) -> Target:
    """The target of that name.

    Args:
        extra: a folder of the user's own, looked into first: laid out like `targets/`, or with board files
            directly in it.

    Raises:
        UsageError: no such target; the nearest names are suggested.
        TargetFileError: its file, or one that it refers to, is not valid.
    """
    boards = _boards(extra)
    if name not in boards:
        near = difflib.get_close_matches(name.lower(), list(boards), n=3, cutoff=0.4)
        raise UsageError(
            f"there is no target '{name}'",
            next_step=(f"did you mean {' or '.join(near)}? " if near else "") + "see `edgeq targets list`",
            name=name,
            suggestions=near,
        )
    return load_file(boards[name], extra)


def load_file(path: Path, extra: Path | None = None) -> Target:
    """A target from one board file of the user's own.

    Args:
        extra: where its soc and core may be, besides the project's; without it, the folder that the file's own
            folder is in, when that is called boards, linux or phones.

    Raises:
        TargetFileError: it isn't valid.
    """
    if extra is None and path.parent.name in BOARD_FOLDERS:
        extra = path.parent.parent
    board = _read(Board, path)
    soc = _refer(Soc, "socs", board.soc, path, extra)
    core = _refer(Core, "cores", soc.core, path, extra)
    target = Target(board, replace(soc, memory=(*soc.memory, *board.memory)), core, path)
    validate(target)
    return target


def load_core(name: str, extra: Path | None = None) -> Core:
    """A core by its name alone.

    Raises:
        UsageError: no such core; the nearest names are suggested.
        TargetFileError: its file is not valid.
    """
    files = _files("cores", extra)
    if name not in files:
        near = difflib.get_close_matches(name.lower(), list(files), n=2, cutoff=0.4)
        raise UsageError(
            f"there is no core '{name}'",
            next_step=f"did you mean {' or '.join(near)}?" if near else f"choose one of: {', '.join(files)}",
            name=name,
            suggestions=near,
        )
    return _read(Core, files[name])


def validate_file(path: Path, extra: Path | None = None) -> tuple[FileKind, str]:
    """Check a file of any kind: a board (with what it refers to), a soc (with its core), or a core.

    Returns:
        What it is, and its name.

    Raises:
        TargetFileError: it isn't valid.
    """
    table = _table(path)
    if extra is None and path.parent.name in (*BOARD_FOLDERS, "socs", "cores"):
        extra = path.parent.parent
    if "compiler" in table:
        return "core", _read(Core, path).name
    if "core" in table and "soc" not in table:
        soc = _read(Soc, path)
        _refer(Core, "cores", soc.core, path, extra)
        validate_soc(soc, str(path))
        return "soc", soc.name
    return "board", load_file(path, extra).name


def _refer(cls: type[T], kind: str, name: str, referrer: Path, extra: Path | None) -> T:
    files = _files(kind, extra)
    if name not in files:
        near = difflib.get_close_matches(name, list(files), n=1)
        raise TargetFileError(
            f"refers to '{name}', which is not in {kind}/",
            where=str(referrer),
            next_step=f"did you mean '{near[0]}'?" if near else f"add {kind}/{name}.toml",
            key=kind.removesuffix("s"),
        )
    return _read(cls, files[name])


def _boards(extra: Path | None) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for folder in BOARD_FOLDERS:
        found.update(_files(folder, None))
    if extra is not None:
        found.update({p.stem: p for p in sorted(extra.glob("*.toml"))})
        for folder in BOARD_FOLDERS:
            found.update(_in(extra / folder))
    return found


def _files(kind: str, extra: Path | None) -> Mapping[str, Path]:
    own = _in(resources.folder("targets") / kind)
    return {**own, **_in(extra / kind)} if extra is not None else own


def _in(folder: Path) -> Mapping[str, Path]:
    return {p.stem: p for p in sorted(folder.glob("*.toml"))} if folder.is_dir() else {}


@lru_cache(maxsize=256)
def _parse(path: Path, modified_ns: int) -> Mapping[str, Any]:
    with path.open("rb") as stream:
        return MappingProxyType(tomllib.load(stream))


def _table(path: Path) -> Mapping[str, Any]:
    try:
        return _parse(path, path.stat().st_mtime_ns)
    except OSError as failed:
        raise TargetFileError(f"can't be read: {failed.strerror}", where=str(path)) from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failed:
        raise TargetFileError(f"is not valid TOML: {failed}", where=str(path)) from failed


def _read(cls: type[T], path: Path) -> T:
    value = build(cls, _table(path), str(path))
    name = getattr(value, "name", "")
    if name != path.stem:
        raise TargetFileError(
            f"name is '{name}' but the file is called '{path.stem}.toml'",
            where=str(path),
            next_step=f"rename one of them: `--target` takes '{path.stem}'",
            key="name",
        )
    return value
