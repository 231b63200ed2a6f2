"""Opening a serial port without disturbing the board behind it, and saying what is wrong when that fails."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from edgeq.errors import MissingDependencyError, PortError, UsageError


class SerialLike(Protocol):
    """What edgeq uses of a pyserial object."""

    timeout: float | None
    baudrate: int
    dtr: bool
    rts: bool

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        ...

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes, fewer when the timeout passes."""
        ...

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


try:
    from termios import error as _termios_error

    TERMINAL_ERRORS: tuple[type[Exception], ...] = (_termios_error,)
    """What pyserial lets through of a terminal that has just gone, besides OSError."""
except ImportError:  # Windows
    TERMINAL_ERRORS = ()
_FAILURES: tuple[type[Exception], ...] = (OSError, *TERMINAL_ERRORS)
# Seconds that one write may take: at 9600 baud a command of 80 characters needs 0.08 s.
WRITE_TIMEOUT_S = 5.0
# How long DTR and RTS are held for a reset.
_RESET_S = 0.1


def open_port(name: str, baud: int, *, even_parity: bool = False, terminal_ready: bool = False) -> SerialLike:
    """Open a serial port, a pseudo-terminal or a pyserial URL (`socket://`, `rfc2217://`).

    The port is taken exclusively (two readers would each get half of the bytes), and DTR and RTS are low
    before it opens, because boards reset themselves on either edge.

    Args:
        even_parity: nine bits on the wire, as ST's boot ROMs want them; none otherwise.
        terminal_ready: DTR high, for firmware on USB that only then talks, or notices the port being closed.

    Raises:
        MissingDependencyError: pyserial is not installed.
        UsageError: a URL that pyserial doesn't know.
        PortError: absent, busy (with the program that holds it), not permitted, or refused.
    """
    try:
        import serial
    except ImportError as absent:
        raise MissingDependencyError(
            "talking to a board needs pyserial", next_step="pip install 'edgeq[device]'", packages=["serial"]
        ) from absent
    try:
        port: Any = serial.serial_for_url(name, baudrate=baud, timeout=0.1, do_not_open=True)
    except ValueError as wrong:
        raise UsageError(
            f"is not a port: {wrong}",
            where=name,
            next_step="give a port such as /dev/ttyACM0 or socket://host:3333",
        ) from wrong
    if not name.lower().startswith("rfc2217://"):  # pyserial raises NotImplementedError when it opens one with it
        port.write_timeout = WRITE_TIMEOUT_S
    if even_parity:
        port.parity = serial.PARITY_EVEN
    port.dtr = terminal_ready
    port.rts = False
    if "://" not in name:
        port.exclusive = True
    try:
        try:
            port.open()
        except TERMINAL_ERRORS:
            # A pseudo-terminal has no parity, and says so when nothing else about it changes.
            port.parity = serial.PARITY_NONE
            port.open()
    except (serial.SerialException, OSError, ValueError, *TERMINAL_ERRORS) as failed:
        raise explain(name, failed) from failed
    opened: SerialLike = port
    return opened


def reset(port: SerialLike, name: str) -> None:
    """Restart the board by DTR and RTS, where its adapter wires either of them to it.

    Raises:
        UsageError: a port that has no such lines (a pseudo-terminal, a socket).
        PortError: it went away.
    """
    try:
        for level in (True, False):
            port.dtr = port.rts = level
            time.sleep(_RESET_S)
    except _FAILURES as failed:
        if _errno(failed) in (errno.ENOTTY, errno.EINVAL):
            raise UsageError("the port has no DTR and RTS to reset a board by", where=name) from failed
        raise explain(name, failed) from failed


def explain(name: str, failed: BaseException) -> PortError:
    """The error of a port that doesn't open or went away, with who or what is behind it and what to do."""
    number = _errno(failed)
    if number in (errno.EAGAIN, errno.EBUSY, errno.EWOULDBLOCK):
        holders = holding(name)
        who = f" by {', '.join(holders)}" if holders else " by another program"
        return PortError(
            f"the port is busy: it is held{who}",
            where=name,
            next_step="close that program (a serial monitor, ModemManager, another edgeq) and try again",
            reason="busy",
            holders=holders,
        )
    if number in (errno.EACCES, errno.EPERM):
        return PortError(
            f"no permission to open the port{_owner(name)}",
            where=name,
            next_step="install the board's udev rule (`edgeq doctor --udev` prints it), or join the port's group "
            "(`sudo usermod -aG dialout $USER`, then log in again)",
            reason="permission",
        )
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        present = listed()
        return PortError(
            "there is no such port: unplugged, or it came back under another name",
            where=name,
            next_step=f"ports here now: {', '.join(present)}"
            if present
            else "no serial port is here now: plug the board in, or try --sim",
            reason="absent",
            ports=present,
        )
    if number == errno.ENOTTY or "Inappropriate ioctl" in str(failed):
        return PortError(
            "is not a serial port",
            where=name,
            next_step="give a port such as /dev/ttyACM0, a pseudo-terminal, or a socket:// URL",
            reason="not-a-port",
        )
    if number == errno.ECONNREFUSED:
        return PortError(
            "nobody listens there",
            where=name,
            next_step="start `edgeq simulate --socket` or the port's server first",
            reason="refused",
        )
    return PortError(
        f"can't be opened: {failed}", where=name, next_step="`edgeq doctor` lists the ports", reason="other"
    )


def listed() -> list[str]:
    """The serial ports of this machine (pseudo-terminals are never among them)."""
    try:
        from serial.tools import list_ports
    except ImportError:
        return []
    return sorted(str(p.device) for p in list_ports.comports())


def holding(name: str) -> list[str]:
    """Programs that have the port open, as `screen (pid 4711)`, where this user may see them (Linux)."""
    found: list[str] = []
    for process in holders(name):
        with contextlib.suppress(OSError):
            found.append(f"{(process / 'comm').read_text().strip()} (pid {process.name})")
    return sorted(found)


def holders(name: str) -> list[Path]:
    """The /proc folders of other processes that have the port open, where this user may see them (Linux)."""
    if sys.platform != "linux":
        return []
    try:
        device = os.stat(name).st_rdev  # noqa: PTH116 - the number behind whatever links lead there
    except OSError:
        return []
    return processes_with(lambda descriptor: _device(descriptor) == device) if device else []


def processes_with(wanted: Callable[[Path], bool]) -> list[Path]:
    """The /proc folders of other processes with such an open file (its entry in their `fd`)."""
    found: list[Path] = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(wanted(descriptor) for descriptor in (process / "fd").iterdir()):
                found.append(process)
    return found


def _device(descriptor: Path) -> int:
    # A descriptor may be gone by now.
    try:
        return descriptor.stat().st_rdev
    except OSError:
        return 0


def _owner(name: str) -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        path = Path(name)
        return f" (it belongs to {path.owner()}:{path.group()})"
    return ""


_BY_WORDS: Mapping[str, int] = MappingProxyType(
    {
        "Permission denied": errno.EACCES,
        "No such file": errno.ENOENT,
        "Connection refused": errno.ECONNREFUSED,
    }
)


def _errno(failed: BaseException) -> int:
    """The errno of a pyserial exception; its URL handlers keep it only in the text or the cause."""
    number = getattr(failed, "errno", None)
    if isinstance(number, int):
        return number
    for cause in (failed.__cause__, failed.__context__):
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.errno
    return next((n for words, n in _BY_WORDS.items() if words in str(failed)), 0)
