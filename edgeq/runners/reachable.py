"""Whether the devices of a device file can be reached now, and who uses them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgeq.errors import EdgeqError
from edgeq.runners import locks
from edgeq.runners.attached import Attached, adb_devices
from edgeq.runners.names import COORDINATOR, Named
from edgeq.runners.usb import bare_number
from edgeq.simulator import kept

_CONNECT_S = 2.0
_SSH_PORT = 22


@dataclass(frozen=True)
class Entry:
    """One device of the file.

    Attributes:
        reachable: something answers there. What it is shows when it is used.
        told: what was found, or why not.
        used_by: who has its lock, "" nobody.
    """

    device: Named
    reachable: bool
    told: str
    used_by: str = ""

    def to_json(self) -> dict[str, object]:
        """One of `devices --json`'s entries."""
        return {
            "name": self.device.name,
            "target": self.device.target,
            "where": self.device.address,
            "reachable": self.reachable,
            "told": self.told,
            "used_by": self.used_by,
            "note": self.device.note,
        }


def entries(
    devices: Sequence[Named], here: Iterable[Attached], lock_folder: Path, cache: Path | None = None
) -> tuple[Entry, ...]:
    """Look for all of them at once; each takes two seconds at most, labgrid's some more.

    Args:
        here: what is plugged in.
        cache: where isolated environments (labgrid's) are.
    """
    plugged = {bare_number(a.serial_number) for a in here if a.serial_number}
    phones = adb_devices() if any(d.adb for d in devices) else {}

    def one(device: Named) -> Entry:
        users = (locks.holder(lock_folder, key) for key in locks.keys_of(device))
        used_by = next((str(user) for user in users if user is not None), "")
        reachable, told = _look(device, plugged, phones, cache)
        return Entry(device, reachable, told, used_by)

    with ThreadPoolExecutor(max(1, min(16, len(devices)))) as pool:
        return tuple(pool.map(one, devices))


def _look(device: Named, plugged: set[str], phones: Mapping[str, str], cache: Path | None) -> tuple[bool, str]:
    if device.place:
        return _place(device, cache)
    if device.host:
        name, _, port = device.host.rpartition("@")[2].partition(":")
        return _connects(name, int(port) if port.isdigit() else _SSH_PORT)
    if device.adb:
        state = phones.get(device.adb, "")
        return state == "device", f"adb says '{state}'" if state else "no adb server has it"
    board = next((name for name in (device.port, device.probe) if kept.is_address(name)), "")
    if board:
        folder = kept.parse(board).folder
        return (True, "a virtual board that stays") if kept.is_there(folder) else (False, "not flashed yet")
    if "://" in device.port:
        return _url(device.port)
    if device.port:
        there = os.path.exists(device.port)  # noqa: PTH110 - a port's name, COM3 too
        return there, "the port is there" if there else "no such port"
    if device.runner == "virtual" and not device.serial_number:
        return True, "made for the run"
    number = device.serial_number or device.probe
    return (True, "plugged in") if bare_number(number) in plugged else (False, "not plugged in")


def _url(url: str) -> tuple[bool, str]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    return _connects(host, port) if host and port else (False, "not an address with a port")


def _connects(host: str, port: int) -> tuple[bool, str]:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return True, "somebody listens"
    except OSError as failed:
        return False, str(failed.strerror or failed)


def _place(device: Named, cache: Path | None) -> tuple[bool, str]:
    from edgeq.runners import labgrid

    try:
        user = labgrid.look(device.place, device.coordinator or COORDINATOR, cache)
    except EdgeqError as failed:
        return False, failed.what
    return True, f"acquired by {user}" if user else "free"
