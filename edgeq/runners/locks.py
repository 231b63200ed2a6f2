"""A lock on each device, so that two runs never talk to one board at once.

Serial ports are opened exclusively as well, but that comes late (a run builds first), doesn't hold a board between
flashing and profiling, and can't say for how long. The lock is the operating system's, on a file that says who has it:
it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from edgeq.errors import PortError
from edgeq.events import Listener, Progress, silent
from edgeq.runners.contract import Device
from edgeq.runners.names import COORDINATOR, Named
from edgeq.runners.usb import bare_number
from edgeq.simulator import kept

Claim = Callable[[Sequence[str]], None]
"""Takes the locks of these keys until the run ends; see `Claims`."""

_LOOK_EVERY_S = 0.2
# Where the locked byte lies on Windows, whose locks keep others from reading what they cover.
_FAR = 1 << 30


@dataclass(frozen=True)
class Holder:
    """Who has a lock.

    Attributes:
        since: seconds since 1970.
        key: what is locked, as given to `hold`.
    """

    pid: int
    host: str
    command: str
    since: float
    key: str

    def __str__(self) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"{self.command} (pid {self.pid} on {self.host}, since {at})"


def key_of_port(port: str) -> str:
    """The key of a serial port: its real path, with this machine's name, or a URL as it is; a virtual board's own."""
    if kept.is_address(port):
        return kept.parse(port).key
    return port if "://" in port else f"{socket.gethostname()}:{os.path.realpath(port)}"


def key_of_usb(number: str) -> str:
    """The key of a device on USB, by its serial number; of a virtual board, its own."""
    if kept.is_address(number):
        return kept.parse(number).key
    return f"usb:{bare_number(number)}"


def key_of_host(address: str) -> str:
    """The key of a computer that SSH leads to: users and names of the standard port make no other machine of it."""
    return f"ssh:{address.rpartition('@')[2].removesuffix(':22').lower()}"


def key_of_phone(serial_number: str) -> str:
    """The key of a phone, as `adb devices` calls it."""
    return f"adb:{serial_number}"


def keys_of(device: Named) -> tuple[str, ...]:
    """What has to be locked for a device: all the ways that lead to it."""
    keys = [key_of_port(device.port) if device.port else ""]
    keys += [key_of_usb(number) for number in (device.serial_number, device.probe) if number]
    keys += [key_of_host(device.host) if device.host else "", key_of_phone(device.adb) if device.adb else ""]
    keys += [f"labgrid:{device.coordinator or COORDINATOR}/{device.place}" if device.place else ""]
    return tuple(key for key in keys if key)


def keys_of_meter(meter: str) -> tuple[str, ...]:
    """What has to be locked for an energy meter, NAME or NAME:ADDRESS: its port, or the only one of its name."""
    address = meter.partition(":")[2]
    return (key_of_port(address),) if address.startswith(("/", "COM")) or "://" in address else (f"meter:{meter}",)


def keys_of_found(device: Device) -> tuple[str, ...]:
    """What has to be locked for what a runner has found: its probe or bootloader on USB, its port or drive."""
    is_port = device.id.startswith(("/dev/", "COM")) or "://" in device.id
    keys = [key_of_port(device.id) if is_port else key_of_usb(device.id)]
    return tuple(dict.fromkeys([*keys, *([key_of_usb(device.serial_number)] if device.serial_number else [])]))


class Claims:
    """The locks of one run, taken as it finds out what it needs, and given back together; a context.

    Args:
        folder, command, wait_s, listener: see `hold`.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        *,
        wait_s: float = 0.0,
        listener: Listener = silent,
    ) -> None:
        self._folder, self._command, self._wait_s, self._listener = folder, command, wait_s, listener
        self._held: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, keys: Sequence[str]) -> None:
        """Take the locks of `keys`, those that this run has already left out.

        Raises:
            PortError: somebody has one; it says who.
        """
        new = [key for key in keys if key not in self._held]
        self._stack.enter_context(hold(self._folder, new, self._command, wait_s=self._wait_s, listener=self._listener))
        self._held.update(new)


def unclaimed(keys: Sequence[str]) -> None:
    """A `Claim` that takes nothing: for callers who see to it themselves that a device is theirs."""


def holders(folder: Path) -> tuple[Holder, ...]:
    """Everybody who has a lock now, by key."""
    paths = sorted(folder.glob("*.lock")) if folder.is_dir() else []
    found = (_holder(path) for path in paths)
    return tuple(holder for holder in found if holder is not None)


@contextmanager
def hold(
    folder: Path, keys: Sequence[str], command: str, *, wait_s: float = 0.0, listener: Listener = silent
) -> Iterator[None]:
    """Hold the locks of all `keys` for as long as the context lasts.

    Args:
        folder: where the files are; the same for everybody who is to respect them.
        command: what to tell others about this run.
        wait_s: how long to wait for whoever has one.

    Raises:
        PortError: somebody has one; it says who.
    """
    until = time.monotonic() + wait_s
    with ExitStack() as stack:
        # In one order everywhere: two runs that want the same two never wait for each other.
        for key in sorted(set(keys)):
            stack.enter_context(_one(folder, key, command, until, wait_s, listener))
        yield


def holder(folder: Path, key: str) -> Holder | None:
    """Who has the lock now, None when nobody does."""
    return _holder(_path(folder, key))


def _holder(path: Path) -> Holder | None:
    try:
        stream = path.open("r+b")
    except OSError:
        return None
    with stream:
        if _lock(stream):
            _unlock(stream)
            return None
        return _read(path)


@contextmanager
def _one(folder: Path, key: str, command: str, until: float, wait_s: float, listener: Listener) -> Iterator[None]:
    path = _path(folder, key)
    with _file(path) as stream:
        while not _lock(stream):
            other = _read(path)
            if time.monotonic() >= until:
                told = f"; waited {wait_s:g} s" if wait_s else ""
                raise PortError(
                    f"the device is in use by {other or 'another run of edgeq'}{told}",
                    where=key,
                    next_step="wait for it with --wait SECONDS, or end that run",
                    reason="locked",
                    holder=asdict(other) if other else None,
                )
            listener(Progress("wait", 0, None, detail=f"for {other or 'another run'}"))
            time.sleep(_LOOK_EVERY_S)
        try:
            _write(stream, Holder(os.getpid(), socket.gethostname(), command, time.time(), key))
            yield
        finally:
            with contextlib.suppress(OSError):
                stream.truncate(0)
            _unlock(stream)


def _file(path: Path) -> IO[bytes]:
    """The lock's file, which other users of the folder may open too.

    Raises:
        PortError: another user's file, or folder, that this one may not write to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One that is there isn't created: in folders such as /tmp the kernel refuses that for others' files.
        with contextlib.suppress(FileNotFoundError):
            return path.open("r+b")
        stream = path.open("a+b")
    except OSError as refused:
        raise PortError(
            f"its lock can't be taken: {refused.strerror or refused}",
            where=str(path),
            next_step="let all users of this computer write to that folder and its files, or name another: EDGEQ_LOCKS",
            reason="lock-file",
        ) from refused
    with contextlib.suppress(OSError):
        path.chmod(0o666)
    return stream


def _path(folder: Path, key: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", key)[-60:]
    return folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.lock"


def _write(stream: IO[bytes], mine: Holder) -> None:
    stream.truncate(0)
    stream.seek(0)
    stream.write(json.dumps(asdict(mine)).encode())
    stream.flush()


def _read(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # it has just been taken, and isn't written yet


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[bytes]) -> bool:
        stream.seek(_FAR)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: IO[bytes]) -> None:
        stream.seek(_FAR)
        with contextlib.suppress(OSError):
            msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(stream: IO[bytes]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_UN)
