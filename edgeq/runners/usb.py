"""What is plugged in, as Linux' sysfs has it (Documentation/ABI/stable/sysfs-bus-usb). Nothing is opened or asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")
# bInterfaceClass, -SubClass, -Protocol: the Android Debug Bridge (system/core/adb, usb.h), and DFU mode (DFU 1.1).
ADB = (0xFF, 0x42, 0x01)
DFU = (0xFE, 0x01, 0x02)
_HUB = 0x09


@dataclass(frozen=True)
class UsbDevice:
    """One device that isn't a hub.

    Attributes:
        path: the port it hangs on, such as "1-1.2".
        node: what programs open to talk to it directly, such as "/dev/bus/usb/001/007".
        ttys, blocks: names of its serial ports and disks under /dev.
        interfaces: class, subclass and protocol of each.
    """

    path: str
    vendor_id: int
    product_id: int
    serial_number: str
    title: str
    node: str
    ttys: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    interfaces: tuple[tuple[int, int, int], ...] = ()


def bare_number(serial_number: str) -> str:
    """A serial number to compare: without regard to case and to zeros in front.

    A J-Link on USB is called 000683459357, and by its own library, and so by pyOCD, 683459357.
    """
    return serial_number.lower().lstrip("0")


def devices(root: Path = SYSFS) -> tuple[UsbDevice, ...]:
    """All of them, by path; () where there is no sysfs."""
    try:
        places = sorted(root.iterdir())
    except OSError:
        return ()
    found = (_device(place) for place in places if ":" not in place.name)
    return tuple(d for d in found if d is not None)


def _device(place: Path) -> UsbDevice | None:
    vendor, product = _text(place / "idVendor"), _text(place / "idProduct")
    if not vendor or not product or int(_text(place / "bDeviceClass") or "0", 16) == _HUB:
        return None
    title = " ".join(filter(None, (_text(place / "manufacturer"), _text(place / "product"))))
    bus, number = _text(place / "busnum"), _text(place / "devnum")
    interfaces = sorted(p for p in place.glob(f"{place.name}:*") if p.is_dir())
    return UsbDevice(
        place.name,
        int(vendor, 16),
        int(product, 16),
        _text(place / "serial"),
        title or f"{vendor}:{product}",
        f"/dev/bus/usb/{int(bus):03d}/{int(number):03d}" if bus and number else "",
        # ttyUSB ports lie below their interface, ttyACM ports in a folder "tty" of it.
        tuple(sorted({p.name for i in interfaces for p in (*i.glob("tty/tty*"), *i.glob("ttyUSB*"))})),
        tuple(sorted({p.name for i in interfaces for p in i.glob("host*/target*/*/block/*")})),
        tuple(_interface(i) for i in interfaces),
    )


def _interface(place: Path) -> tuple[int, int, int]:
    names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    first, second, third = (int(_text(place / name) or "0", 16) for name in names)
    return first, second, third


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def number_of_drive(place: Path, root: Path = SYSFS, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The serial number of what a mounted drive belongs to, "" where that isn't known."""
    for device in devices(root):
        if device.blocks and str(place) in mounted(device.blocks, mounts).values():
            return device.serial_number
    return ""


def mounted(blocks: Sequence[str], mounts: Path = Path("/proc/self/mounts")) -> dict[str, str]:
    """Disk name → folder, for those of these disks (or their partitions) that are mounted."""
    found: dict[str, str] = {}
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        for block in blocks:
            if len(words) > 1 and words[0].startswith(f"/dev/{block}"):
                found[block] = words[1].replace("\\040", " ")
    return found
