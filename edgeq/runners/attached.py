"""What is plugged in, which targets it can be, how it can be flashed, and what is in the way."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeq import registry
from edgeq.runners import udev, usb
from edgeq.runners.drives import details, labelled
from edgeq.runners.names import Names
from edgeq.runners.port import holding
from edgeq.runners.uf2 import info_of
from edgeq.runners.usb import UsbDevice
from edgeq.target import Target

_UDEV_FIX = "edgeq doctor --udev | sudo tee /etc/udev/rules.d/60-edgeq.rules && sudo udevadm control --reload"
_ADB_SERVER = ("127.0.0.1", 5037)
# Vendors of USB-to-serial chips on adapters (FTDI, Silicon Labs, WCH, Prolific).
_ADAPTERS = frozenset({0x0403, 0x10C4, 0x1A86, 0x067B})
_PHONE, _PROBE = "android", "probe"


@dataclass(frozen=True)
class Obstacle:
    """Something in the way, and the command or the act that removes it.

    Attributes:
        rule: the very udev rule that does, where one does.
    """

    what: str
    fix: str
    rule: str = ""


@dataclass(frozen=True)
class Attached:
    """One device.

    Attributes:
        kind: "board", "bootloader", "probe" (a debug probe that is no board's own), "meter", "android", "adapter" (a
            USB-to-serial chip) or "unknown" (a serial port or drive that no target names).
        targets: what it can be, by USB ids, drive label and its own name; several where that doesn't tell.
        runners: of those targets, the ways to flash it that are there now.
        where: the USB port it hangs on.
    """

    kind: str
    title: str
    serial_number: str
    vendor_id: int
    product_id: int
    where: str
    ports: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    runners: tuple[str, ...] = ()
    name: str = ""
    obstacles: tuple[Obstacle, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One of `devices --json`."""
        return {
            "kind": self.kind,
            "name": self.name,
            "title": self.title,
            "serial_number": self.serial_number,
            "usb_id": f"{self.vendor_id:04x}:{self.product_id:04x}",
            "where": self.where,
            "ports": list(self.ports),
            "drives": list(self.drives),
            "targets": list(self.targets),
            "runners": list(self.runners),
            "obstacles": [{"what": o.what, "fix": o.fix, "udev_rule": o.rule or None} for o in self.obstacles],
        }


@dataclass(frozen=True)
class System:
    """Where facts come from; tests give folders of their own.

    Attributes:
        dev, proc, udev: /dev, /proc, and where udev keeps what it knows of devices.
        adb: what the adb server, where one runs, says of its devices.
        holders: programs that have a port open.
    """

    sysfs: Path = usb.SYSFS
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    mounts: Path = Path("/proc/self/mounts")
    udev: Path = Path("/run/udev/data")
    adb: Callable[[], dict[str, str]] = field(default=lambda: adb_devices())
    holders: Callable[[str], list[str]] = holding


def attached(targets: Iterable[Target], names: Names, system: System | None = None) -> tuple[Attached, ...]:
    """Everything on USB that may be a board, a probe, a bootloader, a phone or a serial adapter, by USB path."""
    system = system or System()
    known = tuple(targets)
    modem_manager = _runs(system.proc, "ModemManager")
    phones = system.adb()
    found = (_attached(d, known, names, system, modem_manager, phones) for d in usb.devices(system.sysfs))
    return tuple(a for a in found if a is not None)


def _attached(
    device: UsbDevice,
    known: Sequence[Target],
    names: Names,
    system: System,
    modem_manager: bool,
    phones: dict[str, str],
) -> Attached | None:
    drives = usb.mounted(device.blocks, system.mounts)
    named = names.of(device.serial_number)
    fitting = _fitting(device, known, tuple(drives.values()), named.target if named else "")
    kind = _kind(device, fitting, tuple(drives.values()))
    if kind == "unknown" and not device.ttys and not any(_is_board_drive(Path(d)) for d in drives.values()):
        return None  # a mouse, a memory stick
    runners = ("pyocd",) if kind == _PROBE else _runners(device, fitting, tuple(drives.values()))
    obstacles = [
        *_port_obstacles(device, system, modem_manager),
        *_node_obstacles(device, kind, runners, system),
        *_drive_obstacles(device, fitting, drives),
        *(_phone_obstacles(device, phones) if kind == _PHONE else ()),
    ]
    return Attached(
        kind,
        device.title,
        device.serial_number,
        device.vendor_id,
        device.product_id,
        device.path,
        tuple(f"/dev/{tty}" for tty in device.ttys),
        tuple(drives.values()),
        tuple(t.name for t in fitting),
        runners,
        named.name if named else "",
        tuple(obstacles),
    )


def _ids(target: Target) -> set[tuple[int, int]]:
    ways = {(w.vendor_id, w.product_id) for w in target.board.flash_method if w.vendor_id}
    return {(u.vendor_id, u.product_id) for u in target.board.usb} | ways


def _labels(target: Target) -> set[str]:
    return {target.board.drive_label, *(w.drive_label for w in target.board.flash_method)} - {""}


def _fitting(device: UsbDevice, known: Sequence[Target], drives: Sequence[str], named: str) -> tuple[Target, ...]:
    """By USB id; of several (boards share ST-LINKs) those whose drive it has, or the one that it is said to be."""
    fitting = [t for t in known if (device.vendor_id, device.product_id) in _ids(t)]
    said = [t for t in fitting if t.name == named] or [t for t in known if t.name == named and not fitting]
    by_drive = [t for t in fitting if any(labelled(Path(d), label) for d in drives for label in _labels(t))]
    return tuple(said or by_drive or fitting)


def _kind(device: UsbDevice, fitting: Sequence[Target], drives: Sequence[str]) -> str:
    waiting = {(w.vendor_id, w.product_id) for t in fitting for w in t.board.flash_method if w.vendor_id}
    if usb.ADB in device.interfaces:
        return _PHONE
    if usb.DFU in device.interfaces or (device.vendor_id, device.product_id) in waiting:
        return "bootloader"
    if any(info_of(Path(d)) for d in drives):
        return "bootloader"
    if fitting:
        return "board"
    if udev.is_probe(device.vendor_id, device.product_id, device.title):
        return _PROBE
    if udev.is_meter(device.vendor_id, device.product_id):
        return "meter"
    return "adapter" if device.vendor_id in _ADAPTERS and device.ttys else "unknown"


def _is_board_drive(drive: Path) -> bool:
    return bool(details(drive) or info_of(drive))


def _runners(device: UsbDevice, fitting: Sequence[Target], drives: Sequence[str]) -> tuple[str, ...]:
    """Ways that all it needs is here for: a drive, an id in a bootloader, a probe."""
    found: dict[str, None] = {}
    for target in fitting:
        here = (device.vendor_id, device.product_id)
        is_probe = any((u.vendor_id, u.product_id) == here for u in target.board.usb)
        labels = _labels(target)
        has_drive = any(labelled(Path(d), label) for d in drives for label in labels)
        waiting = {w.method for w in target.board.flash_method if (w.vendor_id, w.product_id) == here}
        for runner in target.board.runners:
            drive = runner in ("stlink-drive", "daplink-drive", "uf2") and has_drive
            swd = runner == "pyocd" and is_probe and "bossac" not in target.board.runners
            touch = runner == "bossac" and bool(device.ttys)
            if drive or swd or touch or runner in waiting:
                found[runner] = None
    return tuple(found)


def _port_obstacles(device: UsbDevice, system: System, modem_manager: bool) -> Iterable[Obstacle]:
    for tty in device.ttys:
        node = system.dev / tty
        if node.exists() and not os.access(node, os.R_OK | os.W_OK):
            yield Obstacle(f"no permission for /dev/{tty}", _UDEV_FIX, _rule(device))
        holders = system.holders(str(node))
        if holders:
            yield Obstacle(f"/dev/{tty} is held by {', '.join(holders)}", "close that program")
        if modem_manager and tty.startswith("ttyACM") and not _ignored(node, system.udev):
            yield Obstacle(
                f"ModemManager runs, and talks to /dev/{tty} for some seconds after it is plugged in",
                f"{_UDEV_FIX} (or stop ModemManager)",
                _rule(device),
            )


def _rule(device: UsbDevice) -> str:
    return udev.rule(device.vendor_id, device.product_id)


def _node_obstacles(device: UsbDevice, kind: str, runners: Sequence[str], system: System) -> Iterable[Obstacle]:
    node = system.dev / device.node.removeprefix("/dev/")
    direct = (kind == "meter" and not device.ttys) or {"pyocd", "dfu"} & set(runners)
    if direct and device.node and node.exists() and not os.access(node, os.R_OK | os.W_OK):
        yield Obstacle(f"no permission for the USB device ({device.node})", _UDEV_FIX, _rule(device))
    if "pyocd" in runners and registry.missing(registry.RUNNERS["pyocd"]):
        yield Obstacle("pyOCD is not installed", "pip install 'edgeq[device]'")


def _drive_obstacles(device: UsbDevice, fitting: Sequence[Target], drives: dict[str, str]) -> Iterable[Obstacle]:
    if not any(_labels(t) for t in fitting):
        return
    for block in device.blocks:
        if block not in drives:
            yield Obstacle(f"its drive /dev/{block} is not mounted", f"udisksctl mount -b /dev/{block}")


def _phone_obstacles(device: UsbDevice, phones: dict[str, str]) -> Iterable[Obstacle]:
    state = phones.get(device.serial_number)
    if state is None:
        yield Obstacle("no adb server has it", "adb start-server (package adb, or Android's platform-tools)")
    elif state == "unauthorized":
        yield Obstacle("the phone has not allowed USB debugging from here", "unlock it and accept the dialogue")
    elif state != "device":
        yield Obstacle(f"adb says '{state}'", "unplug it, plug it in again, unlock it")


def _runs(proc: Path, name: str) -> bool:
    for place in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "comm").read_text().strip() == name:
                return True
    return False


def _ignored(node: Path, kept: Path) -> bool:
    """Whether udev tells ModemManager to leave a port alone."""
    with contextlib.suppress(OSError):
        number = node.stat().st_rdev
        known = (kept / f"c{os.major(number)}:{os.minor(number)}").read_text("utf-8", "replace")
        return "ID_MM_DEVICE_IGNORE=1" in known or "ID_MM_PORT_IGNORE=1" in known
    return False


def adb_devices(server: tuple[str, int] = _ADB_SERVER) -> dict[str, str]:
    """Serial number → state, from an adb server that is running; none is started (AOSP, adb/SERVICES.TXT)."""
    request = b"host:devices"
    try:
        with socket.create_connection(server, timeout=0.5) as link:
            link.sendall(b"%04x" % len(request) + request)
            answer = b""
            while piece := link.recv(4096):
                answer += piece
    except OSError:
        return {}
    if answer[:4] != b"OKAY":
        return {}
    lines = answer[8:].decode("utf-8", "replace").splitlines()
    return {serial: state for serial, tab, state in (line.partition("\t") for line in lines) if tab}
