"""The udev rules that let an ordinary user reach the boards, from the USB ids in the targets' files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgeq.target import Target

# Before 73-seat-late.rules, which is what acts on "uaccess" (systemd, src/login).
FILE_NAME = "60-edgeq.rules"
PLACE = Path("/etc/udev/rules.d") / FILE_NAME
# Debug probes that boards are flashed with but don't bring along: pyOCD's udev/ folder has the same ids.
_PROBES = (
    (0x0D28, 0x0204, "DAPLink and other CMSIS-DAP probes"),
    (0x0483, 0x3748, "ST-LINK/V2"),
    (0x0483, 0x374B, "ST-LINK/V2-1"),
    (0x0483, 0x374E, "STLINK-V3E"),
    (0x0483, 0x374F, "STLINK-V3S"),
    (0x0483, 0x3753, "STLINK-V3 with two serial ports"),
    (0x1366, 0x0101, "SEGGER J-Link"),
    (0x2E8A, 0x000C, "Raspberry Pi Debug Probe"),
)
# Energy meters (edgeq/measure/energy/meters; Joulescope: as rules of its users have them).
_METERS = (
    (0x1915, 0xC00A, "Nordic PPK2"),
    (0x0483, 0x5740, "ST X-NUCLEO-LPM01A"),
    (0x0483, 0x3757, "ST STLINK-V3PWR"),
    (0x16D0, 0x10BA, "Joulescope JS220"),
    (0x16D0, 0x10B9, "Joulescope JS220 while it is updated"),
    (0x16D0, 0x135A, "Joulescope after the JS220"),
)


_GIVES = 'MODE="0660", GROUP="plugdev", TAG+="uaccess", ENV{ID_MM_DEVICE_IGNORE}="1"'


def ids(targets: Iterable[Target]) -> dict[tuple[int, int], str]:
    """Every (vendor, product) that a target's file or the lists of probes and meters name, with what it is."""
    found = {(vendor, product): title for vendor, product, title in (*_PROBES, *_METERS)}
    for target in targets:
        for usb in target.board.usb:
            found.setdefault((usb.vendor_id, usb.product_id), f"{usb.title} ({target.name})")
        for way in target.board.flash_method:
            if way.vendor_id:
                found.setdefault((way.vendor_id, way.product_id), f"{way.method} of {target.name}")
    return dict(sorted(found.items()))


def is_probe(vendor: int, product: int, title: str) -> bool:
    """Whether it is a debug probe; the CMSIS-DAP specification wants its name in what the device calls itself."""
    return (vendor, product) in {(v, p) for v, p, _ in _PROBES} or "CMSIS-DAP" in title.upper()


def is_meter(vendor: int, product: int) -> bool:
    """Whether it is an energy meter. An LPM01A's id is that of any serial port of ST's: its title must tell."""
    return (vendor, product) in {(v, p) for v, p, _ in _METERS} - {(0x0483, 0x5740)}


def rule(vendor: int, product: int) -> str:
    """The line for one device."""
    return f'ATTRS{{idVendor}}=="{vendor:04x}", ATTRS{{idProduct}}=="{product:04x}", {_GIVES}'


def rules(targets: Iterable[Target]) -> str:
    """The file's text: access for whoever sits at the machine and for the group plugdev, and no ModemManager."""
    lines = [
        f"# edgeq's boards, debug probes and energy meters. Install with:  edgeq doctor --udev | sudo tee {PLACE}",
        "#   sudo udevadm control --reload && sudo udevadm trigger",
        "# then unplug the board and plug it in again.",
        'ACTION=="remove", GOTO="edgeq_end"',
        'SUBSYSTEM!="usb|tty|hidraw", GOTO="edgeq_end"',
    ]
    for (vendor, product), title in ids(targets).items():
        lines += [f"# {title}", rule(vendor, product)]
    lines += ["# CMSIS-DAP probes of all makers", f'ATTRS{{product}}=="*CMSIS-DAP*", {_GIVES}']
    return "\n".join([*lines, 'LABEL="edgeq_end"', ""])
