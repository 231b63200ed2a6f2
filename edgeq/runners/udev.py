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


def ids(targets: Iterable[Target]) -> dict[tuple[int, int], str]:
    """Every (vendor, product) that a target's file or the list of probes names, with what it is."""
    found = {(vendor, product): title for vendor, product, title in _PROBES}
    for target in targets:
        for usb in target.board.usb:
            found.setdefault((usb.vendor_id, usb.product_id), f"{usb.title} ({target.name})")
        for way in target.board.flash_method:
            if way.vendor_id:
                found.setdefault((way.vendor_id, way.product_id), f"{way.method} of {target.name}")
    return dict(sorted(found.items()))


def rules(targets: Iterable[Target]) -> str:
    """The file's text: access for whoever sits at the machine and for the group plugdev, and no ModemManager."""
    lines = [
        f"# edgeq's boards and debug probes. Install with:  edgeq doctor --udev | sudo tee {PLACE}",
        "#   sudo udevadm control --reload && sudo udevadm trigger",
        "# then unplug the board and plug it in again.",
        'ACTION=="remove", GOTO="edgeq_end"',
        'SUBSYSTEM!="usb|tty|hidraw", GOTO="edgeq_end"',
    ]
    for (vendor, product), title in ids(targets).items():
        match = f'ATTRS{{idVendor}}=="{vendor:04x}", ATTRS{{idProduct}}=="{product:04x}"'
        lines += [
            f"# {title}",
            f'{match}, MODE="0660", GROUP="plugdev", TAG+="uaccess", ENV{{ID_MM_DEVICE_IGNORE}}="1"',
        ]
    return "\n".join([*lines, 'LABEL="edgeq_end"', ""])
