"""What stands behind a port: hardware, a simulator, or something that only the user can know."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import stat
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from edgeq.errors import UsageError
from edgeq.runners.port import holders, processes_with

Provenance = Literal["measured", "simulated"]

_NETWORK = ("socket://", "rfc2217://")
# Device numbers of Linux' pseudo-terminals, whatever the node is called (Documentation/admin-guide/devices.txt:
# 136-143 Unix98 PTY slaves, 3 BSD-style PTY slaves).
_PTY_MAJORS = (3, *range(136, 144))
# How a process of our own virtual boards is started: `python -m edgeq.simulator …`.
_SIMULATOR = b"edgeq.simulator"


def provenance(name: str, hardware: bool | None = None) -> Provenance:
    """What figures that come over a port are to be called.

    A serial device of this machine is hardware. A pseudo-terminal or a loopback socket is called simulated, because
    nothing shows that it isn't. What a remote server has behind it can't be known from here, so that must be said.

    Args:
        hardware: what the user says: True, a real board is behind the port; False, a simulator; None, nothing.

    Raises:
        UsageError: a remote port about which nothing is said; or one of edgeq's own virtual boards that is said to be
            hardware (as far as its process can be seen: on Linux, of the same user, and not through a relay).
    """
    if hardware is False:
        return "simulated"
    if hardware:
        board = _virtual_board(name)
        if board:
            raise UsageError(
                f"is not hardware: it is the console of a virtual board of edgeq (pid {board})",
                where=name,
                next_step="leave --hardware out: its figures are simulated",
                pid=board,
            )
        return "measured"
    if is_emulated(name):
        return "simulated"
    if name.lower().startswith(_NETWORK):
        raise UsageError(
            "what is behind a remote port can't be known from here, so its figures have no name yet",
            where=name,
            next_step="add --hardware if it is a real board (figures are called measured), or --simulated if it is "
            "a simulator",
        )
    return "measured"


def is_emulated(name: str) -> bool:
    """Whether a port can't be hardware of this machine: a pseudo-terminal or a loopback socket."""
    if name.lower().startswith(_NETWORK):
        return _is_this_machine(name)
    if "://" in name:
        return True
    return os.path.realpath(name).startswith(("/dev/pts/", "/dev/pty", "/dev/ttys")) or _is_pty(name)


def _is_pty(name: str) -> bool:
    if sys.platform != "linux":
        return False
    try:
        found = os.stat(name)  # noqa: PTH116 - the device behind whatever links lead there
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _PTY_MAJORS


def _is_this_machine(url: str) -> bool:
    """Whether a connection stays on this machine; so does one to nobody, to 0.0.0.0, or to any name of 127.0.0.1."""
    try:
        host = urlsplit(url).hostname or "localhost"
        found = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return False  # nothing can be opened there either
    mapped = {getattr(address, "ipv4_mapped", None) or address for address in found}
    return any(address.is_loopback or address.is_unspecified for address in mapped)


def _virtual_board(name: str) -> int:
    """The process of edgeq's virtual board behind a port, 0 where none can be seen."""
    plain = re.sub(r"^(?:spy|alt)://([^?]*).*$", r"\1", name)  # pyserial's URLs around another port
    for process in _servers(plain) if plain.lower().startswith(_NETWORK) else holders(plain):
        with contextlib.suppress(OSError):
            if _SIMULATOR in (process / "cmdline").read_bytes().split(b"\0"):
                return int(process.name)
    return 0


def _servers(url: str) -> list[Path]:
    """The processes that listen on this machine at a URL's port."""
    with contextlib.suppress(ValueError):
        number = urlsplit(url).port
        if sys.platform == "linux" and number and _is_this_machine(url):
            sockets = {f"socket:[{inode}]" for inode in _listening(number)}
            return processes_with(lambda descriptor: _link(descriptor) in sockets)
    return []


def _listening(port: int) -> list[str]:
    """Inodes of the sockets that listen at a TCP port (proc(5), /proc/net/tcp: state 0A is LISTEN)."""
    found: list[str] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            found += [row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]
    return found


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""
