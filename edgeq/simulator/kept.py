"""Virtual boards that stay: a folder holds what a board's flash holds, from one command to the next.

`virtual:TARGET` names one, `virtual:TARGET@FOLDER` one that is kept there. What follows a question mark is wrong with
it for this command: `flash=dead`, a controller that takes everything and writes nothing; `stuck=ADDRESS:BITS`, cells
that don't program; `chip=locked`, protected against debugging when it is switched on.

The flash's files are mapped into the running board, so that they hold what the cells hold at any moment: a process that
is killed leaves a board that was unplugged.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from edgeq import resources
from edgeq.errors import DeviceError, InputFileError, UnsupportedError, UsageError
from edgeq.files import write_whole
from edgeq.simulator.faults import SOUND, Defects
from edgeq.target import Memory, Target

PREFIX = "virtual:"
_BOARD, _FORMAT = "board.json", 1
_ERASED = b"\xff"
_PAGE = 4096
_FORM = "virtual:TARGET, virtual:TARGET@FOLDER, and ?flash=dead, ?stuck=ADDRESS:BITS or ?chip=locked behind it"


@dataclass(frozen=True)
class Address:
    """What such a name says.

    Attributes:
        folder: absolute.
        locked: the chip is protected when it is switched on.
    """

    target: str
    folder: Path
    defects: Defects = SOUND
    locked: bool = False
    query: str = ""

    @property
    def key(self) -> str:
        """The same for every name of this board."""
        return f"{PREFIX}{self.target}@{self.folder}"

    def __str__(self) -> str:
        return self.key + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class KeptBoard:
    """A board that is there.

    Attributes:
        programmed_bytes: of its flash, up to the last that isn't erased.
        damage: why it can't be used, "" where it can.
    """

    target: str
    folder: Path
    programmed_bytes: int = 0
    damage: str = ""

    def to_json(self) -> dict[str, object]:
        """One of `devices --virtual --json`."""
        return {
            "target": self.target,
            "folder": str(self.folder),
            "programmed_bytes": self.programmed_bytes,
            "damage": self.damage,
        }


def is_address(name: str) -> bool:
    """Whether a port or device is a virtual board's name."""
    return name.startswith(PREFIX)


def parse(name: str, home: Path | None = None) -> Address:
    """Read such a name.

    Args:
        home: the folder of all boards that are kept nowhere else.

    Raises:
        UsageError: it means nothing.
    """
    place, _, query = name.removeprefix(PREFIX).partition("?")
    target, at, folder = place.partition("@")
    if not is_address(name) or not target or "/" in target or (at and not folder):
        raise UsageError("names no virtual board", where=name, next_step=f"write {_FORM}")
    where = Path(folder) if folder else (home or resources.default_state() / "boards") / target
    dead, stuck, locked = False, (0, 0), False
    for key, value in parse_qsl(query, keep_blank_values=True):
        if (key, value) == ("flash", "dead"):
            dead = True
        elif (key, value) == ("chip", "locked"):
            locked = True
        elif key == "stuck":
            stuck = _stuck(value, name)
        else:
            raise UsageError(f"'{key}={value}' is nothing that a virtual board can have", where=name, next_step=_FORM)
    return Address(target, where.absolute(), Defects(dead, *stuck), locked, query)


def _stuck(value: str, name: str) -> tuple[int, int]:
    address, _, bits = value.partition(":")
    try:
        found = int(address, 0), int(bits, 0)
    except ValueError:
        found = -1, 0
    if not (0 <= found[0] < 1 << 32 and 0 < found[1] < 256):
        raise UsageError(f"'{value}' is no address and bits of a byte", where=name, next_step="stuck=0x1234:0x01, say")
    return found


def require_probe(target: Target) -> None:
    """Raise UnsupportedError for a target whose virtual board a debug probe can't reach."""
    from edgeq import target as targets

    if target.soc.debug_port is not None and target.has_virtual_board:
        return
    known = [targets.load(name) for name in targets.names()]
    others = [t.name for t in known if t.soc.debug_port is not None and t.has_virtual_board]
    raise UnsupportedError(
        f"the virtual {target.board.title} has no debug port, so that nothing can be flashed onto it and stay",
        where=target.name,
        next_step=f"these have one: {', '.join(others)}; --sim makes a board for one command",
        virtual_boards=others,
    )


def require_folder(address: Address) -> None:
    """Make the folder of a board, where it isn't there.

    Raises:
        UsageError: it can't be written.
    """
    try:
        address.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=address.folder):
            pass
    except OSError as failed:
        raise UsageError(
            f"a virtual board can't be kept there: {failed.strerror or failed}",
            where=str(address.folder),
            next_step=f"name another folder: {PREFIX}{address.target}@FOLDER",
        ) from failed


def files_of(address: Address, target: Target, *, make: bool = False) -> Mapping[str, Path]:
    """The files of a board's flash memories, by the memories' names.

    Args:
        make: a board that isn't there yet is made, with erased flash.

    Raises:
        DeviceError: there is no such board.
        InputFileError: it is damaged, or another board's.
        UsageError: the folder can't be written.
    """
    if address.target != target.name:
        raise UsageError(f"is no {target.name}", where=str(address), next_step=f"name virtual:{target.name}")
    memories = _memories(target)
    files = {m.name: address.folder / f"{m.name}.bin" for m in memories}
    if not is_there(address.folder):
        others = [p.name for p in _content(address.folder) if p not in files.values() and p.suffix != ".lock"]
        if others:
            raise InputFileError(
                f"is no folder of a virtual board: it holds {others[0]}",
                where=str(address.folder),
                next_step="name an empty folder, or one that isn't there yet",
            )
        if not make:
            raise DeviceError(
                f"there is no virtual {target.board.title} yet",
                where=str(address.folder),
                next_step=f"flash it: `edgeq flash build/ --probe {address.key}`",
                folder=str(address.folder),
            )
        for memory in memories:
            write_whole(files[memory.name], _ERASED * _room(memory))
        write_whole(address.folder / _BOARD, json.dumps({"format": _FORMAT, "target": target.name}) + "\n")
        return files
    _check(address.folder, target.name)
    for memory in memories:
        _check_file(files[memory.name], _room(memory), address.folder)
    return files


def is_there(folder: Path) -> bool:
    """Whether a board is kept in a folder."""
    return (folder / _BOARD).is_file()


def boards(home: Path | None = None) -> tuple[KeptBoard, ...]:
    """All that are kept in the usual place, by name."""
    folders = sorted(_content(home or resources.default_state() / "boards"))
    return tuple(_look(folder) for folder in folders if is_there(folder))


def _look(folder: Path) -> KeptBoard:
    try:
        name = _described(folder)
        size = len((folder / "flash.bin").read_bytes().rstrip(_ERASED))
    except InputFileError as damaged:
        return KeptBoard(folder.name, folder, damage=damaged.what)
    except OSError as failed:
        return KeptBoard(folder.name, folder, damage=f"flash.bin: {failed.strerror}")
    return KeptBoard(name, folder, size)


def _memories(target: Target) -> list[Memory]:
    return [m for m in target.soc.memory if m.kind == "flash" and not m.needs_setup]


def _room(memory: Memory) -> int:
    return -(-memory.size_bytes // _PAGE) * _PAGE


def _content(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _described(folder: Path) -> str:
    """Of which target a board is."""
    try:
        found = json.loads((folder / _BOARD).read_text("utf-8"))
        if found["format"] != _FORMAT:
            raise _damaged(folder, f"{_BOARD} is of format {found['format']}, this edgeq writes {_FORMAT}")
        return str(found["target"])
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise _damaged(folder, f"{_BOARD} can't be read") from wrong


def _check(folder: Path, target: str) -> None:
    found = _described(folder)
    if found != target:
        raise InputFileError(
            f"is the folder of a virtual {found}, not of a {target}",
            where=str(folder),
            next_step=f"name virtual:{found}@{folder}, or another folder",
        )


def _check_file(path: Path, size: int, folder: Path) -> None:
    try:
        found = path.stat().st_size
    except OSError as failed:
        raise _damaged(folder, f"{path.name} is missing") from failed
    if found != size:
        raise _damaged(folder, f"{path.name} has {found:,} bytes instead of {size:,}")


def _damaged(folder: Path, what: str) -> InputFileError:
    return InputFileError(
        f"is a damaged virtual board: {what}",
        where=str(folder),
        next_step="remove the folder; the next `edgeq flash` makes a new board with erased flash",
        folder=str(folder),
    )
