"""A virtual board, in a process of its own: programmed, read back, and ended whatever happens.

The board lives as long as its `VirtualBoardProcess`. What `python -m edgeq.simulator` says on its standard
output is one JSON object per line; the first tells the port.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from subprocess import Popen
from typing import IO

from edgeq import process, registry, resources
from edgeq import target as targets
from edgeq.errors import DeviceError, ToolError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.runners import locks
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import ERASED, Image
from edgeq.simulator import kept
from edgeq.target import Target

# Seconds until a new process must have told its port: imports, and once per machine a compiler run.
START_TIMEOUT_S = 120.0
_TAIL_CHARS = 4000
_CAPABILITIES = Capabilities(
    flash=True,
    verify=True,
    reset=True,
    erase=True,
    boots=True,
    needs="nothing but this computer",
)


@dataclass(frozen=True)
class Announcement:
    """The first line of a virtual board.

    Attributes:
        port: the pseudo-terminal or socket:// URL of its console.
        cycle_model: the name of the model that counts its cycles.
        known_error: how far that is known to be from silicon, in words.
    """

    port: str
    cycle_model: str
    known_error: str
    flash_sha256: str


class VirtualBoardProcess:
    """A running virtual board; ends with its context.

    Raises:
        DeviceError: it didn't start; its own words are in the message.
        MissingDependencyError: what it needs is not installed.
    """

    def __init__(self, child: Popen[bytes], announcement: Announcement, said: _Listening) -> None:
        self._child = child
        self._said = said
        self.announcement = announcement

    @property
    def port(self) -> str:
        """What a serial program opens."""
        return self.announcement.port

    def ended(self) -> DeviceError | None:
        """Why the board stopped running, None while it runs."""
        if self._child.poll() is None:
            return None
        return _fault(self._said.errors(), self._child.returncode)

    def wait(self) -> DeviceError:
        """Until it ends by itself, which only a fault makes it do."""
        self._child.wait()
        return _fault(self._said.errors(), self._child.returncode)


class _Listening:
    """Reads both of a child's pipes, so that it never blocks on a full one."""

    def __init__(self, child: Popen[bytes]) -> None:
        self.lines: Queue[str | None] = Queue()
        self._tail = ""
        self._threads = [
            threading.Thread(target=self._out, args=(child.stdout,), daemon=True),
            threading.Thread(target=self._err, args=(child.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def errors(self) -> str:
        """The end of what it said on stderr, after it has ended."""
        for thread in self._threads:
            thread.join(2)
        return self._tail.strip()

    def _out(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.lines.put(line.decode("utf-8", "replace"))
        self.lines.put(None)

    def _err(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._tail = (self._tail + line.decode("utf-8", "replace"))[-_TAIL_CHARS:]


def require_virtual_board(target: Target) -> None:
    """Refuse what a target without a virtual board can't do, before anything is built for it.

    Raises:
        UnsupportedError: the targets that have one are named.
    """
    if target.has_virtual_board:
        return
    others = [name for name in targets.names() if targets.load(name).has_virtual_board]
    raise UnsupportedError(
        f"there is no virtual board of the {target.board.title}",
        where=target.name,
        next_step=f"these have one: {', '.join(others)}",
        virtual_boards=others,
    )


@contextlib.contextmanager
def virtual_board(
    image: Image,
    target: Target,
    *,
    elf: bytes = b"",
    socket: bool = False,
    wait_states: int | None = None,
) -> Iterator[VirtualBoardProcess]:
    """Start a virtual board with an image in its flash; it is ended when the context is left.

    An error of the device inside the context becomes the board's own fault (with its PC and symbol) when the
    board has stopped with one.

    Args:
        elf: names for fault messages.
        socket: the console on a loopback socket instead of a pseudo-terminal.
        wait_states: of the flash, instead of the SoC's at its clock; 0 is ideal memory.
    """
    require_virtual_board(target)
    registry.require(registry.RUNNERS["virtual"], "a virtual board")
    if image.base != target.image_base:
        raise UnsupportedError(
            f"a virtual board is programmed from {target.image_base:#010x} on, the image starts at {image.base:#010x}"
        )
    with tempfile.TemporaryDirectory(prefix="edgeq-board-") as name:
        firmware = Path(name) / "firmware.bin"
        firmware.write_bytes(image.data)
        with _started([firmware], target, elf, socket=socket, wait_states=wait_states) as board:
            yield board


@contextlib.contextmanager
def kept_board(
    name: str, target: Target, *, elf: bytes = b"", wait_states: int | None = None, command: str = "edgeq"
) -> Iterator[VirtualBoardProcess]:
    """Start a virtual board that stays (see `edgeq.simulator.kept`) with what is in its flash; the same otherwise.

    Args:
        command: what others are told who want the board meanwhile.

    Raises:
        DeviceError: there is no such board, or its flash is erased.
        InputFileError: its folder is damaged.
        PortError: another process has it.
    """
    require_virtual_board(target)
    registry.require(registry.RUNNERS["virtual"], "a virtual board")
    address = kept.parse(name)
    files = kept.files_of(address, target)
    kept.require_folder(address)
    with locks.hold(address.folder, [address.key], command):
        code = target.region_for("code")
        memory = next(m for m in target.soc.memory if m.base <= code.base < m.base + m.size_bytes)
        with files[memory.name].open("rb") as stream:
            stream.seek(code.base - memory.base)
            if set(stream.read(8)) == {ERASED}:
                raise DeviceError(
                    "the virtual board's flash is erased: there is nothing to start",
                    where=str(address),
                    next_step=f"flash it: `edgeq flash build/ --probe {address.key}`",
                )
        with _started(["--kept", str(address)], target, elf, wait_states=wait_states) as board:
            yield board


@contextlib.contextmanager
def _started(
    what: Sequence[str | Path], target: Target, elf: bytes, *, socket: bool = False, wait_states: int | None = None
) -> Iterator[VirtualBoardProcess]:
    with tempfile.TemporaryDirectory(prefix="edgeq-board-") as name:
        folder = Path(name)
        argv: list[str | Path] = [sys.executable, "-m", "edgeq.simulator", *what, "--target", target.name]
        if elf:
            (folder / "firmware.elf").write_bytes(elf)
            argv += ["--elf", folder / "firmware.elf"]
        if socket:
            argv.append("--socket")
        if wait_states is not None:
            argv += ["--wait-states", str(wait_states)]
        own = _own_targets(target, folder)
        if own is not None:
            argv += ["--targets", own]
        child = process.start(argv)
        try:
            said = _Listening(child)
            board = VirtualBoardProcess(child, _announcement(child, said), said)
            try:
                yield board
            except DeviceError as failed:
                # The port goes away a moment before the process has said why.
                with contextlib.suppress(Exception):
                    child.wait(1.0)
                fault = board.ended()
                if fault is not None:
                    raise fault from failed
                raise
        finally:
            process.kill_tree(child)
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError, ValueError):
                        stream.close()


def _own_targets(target: Target, work: Path) -> Path | None:
    """The folder in which the board's process finds the target; None for the project's own targets."""
    if target.path.is_relative_to(resources.folder("targets")):
        return None
    if target.path.parent.name == "boards":
        return target.path.parent.parent
    boards = work / "targets" / "boards"
    boards.mkdir(parents=True)
    shutil.copyfile(target.path, boards / f"{target.name}.toml")
    return boards.parent


def _announcement(child: Popen[bytes], said: _Listening) -> Announcement:
    try:
        line = said.lines.get(timeout=START_TIMEOUT_S)
    except Empty:
        raise DeviceError(
            f"the virtual board did not start within {START_TIMEOUT_S:g} s",
            next_step="run `edgeq simulate` by hand to see what it waits for",
        ) from None
    if line is None:
        raise _fault(said.errors(), child.wait())
    try:
        told = json.loads(line)
        return Announcement(
            str(told["port"]),
            str(told.get("cycle_model", "")),
            str(told.get("known_error", "")),
            str(told.get("flash_sha256", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise ToolError(f"the virtual board said something unexpected: {line.strip()[:200]}") from wrong


def _fault(said: str, code: int) -> DeviceError:
    return DeviceError(
        f"the virtual board stopped: {said or f'exit code {code}, without a word'}",
        next_step="a fault of the firmware on the virtual board is one on the real board too",
        exit_code_of_board=code,
        stderr=said,
    )


@dataclass(frozen=True)
class Virtual:
    """The runner: a board that exists while it is being flashed, which shows that an image takes and boots."""

    name: str = "virtual"
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        return "a cycle model and peripherals in the target's files"

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """One board, for every target that can be simulated."""
        if not target.has_virtual_board:
            return []
        return [Device(self.name, "virtual", f"virtual {target.board.title}", "this computer")]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Program a new board, compare what its flash holds, and boot it.

        Raises:
            DeviceError: the flash holds something else, or the firmware faults.
        """
        started = time.monotonic()
        listener(Progress("flash", 0, len(image.data), "bytes", "programming"))
        with virtual_board(image, target) as board:
            result = flash_result(board, image, target, time.monotonic() - started)
        listener(Progress("flash", len(image.data), len(image.data), "bytes", "reading back"))
        ended = "the virtual board ended with this command; `edgeq simulate` keeps one running"
        return replace(result, device=device, notices=(ended,))


def flash_result(board: VirtualBoardProcess, image: Image, target: Target, seconds: float) -> FlashResult:
    """What programming a running board has come to.

    Raises:
        DeviceError: its flash holds something else.
    """
    return FlashResult(
        Device(RUNNER.name, "virtual", f"virtual {target.board.title}", "this computer"),
        image.base,
        len(image.data),
        verified=True,
        verification=check_flash(board, image),
        reset=True,
        seconds=seconds,
    )


def check_flash(board: VirtualBoardProcess, image: Image) -> str:
    """How the board's flash was compared with the image.

    Raises:
        DeviceError: it holds something else.
    """
    if board.announcement.flash_sha256 != hashlib.sha256(image.data).hexdigest():
        raise DeviceError(
            "the virtual board's flash does not hold the image",
            next_step="this is a fault of the simulator; please report it",
            flash_sha256=board.announcement.flash_sha256,
        )
    return f"{len(image.data):,} bytes read back from the virtual flash, sha256 compared"


RUNNER = Virtual()
