"""USB DFU through dfu-util: the boot ROM of STM32 chips with USB, and bootloaders that speak the same (DfuSe).

dfu-util is a program of its own (GPL): it is started, not linked. It erases the pages that it writes, one after the
other, and no others. What was written by half is no trouble: the ROM waits for the next file.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq import process
from edgeq.errors import DeviceError, MissingDependencyError, ToolError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image, compare
from edgeq.target import FlashMethod, Target

METHOD = "dfu"
PROGRAM = "dfu-util"
_LIST_TIMEOUT_S = 20.0
# Erasing and writing goes at 10 to 30 KB/s.
_SECONDS_PER_BYTE = 1 / 4000
_LINE = re.compile(
    r'Found (?P<mode>DFU|Runtime): \[(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})\].*?path="(?P<path>[^"]*)", '
    r'alt=(?P<alt>\d+), name="(?P<name>[^"]*)", serial="(?P<serial>[^"]*)"'
)
_CAPABILITIES = Capabilities(
    flash=True,
    verify=True,
    reset=True,
    erase=False,
    boots=True,
    needs=f"{PROGRAM}, and the board in its DFU bootloader",
)
Run = Callable[[Sequence[str | Path], float], process.Transcript]


@dataclass(frozen=True)
class Setting:
    """One alternate setting of a device, a line of `dfu-util -l`.

    Attributes:
        runtime: the device runs its program and would have to be told to enter the bootloader.
        path: the USB port, by which equal devices are told apart.
        name: for DfuSe, the memory: "@Internal Flash  /0x08000000/04*016Kg,01*064Kg".
    """

    vendor_id: int
    product_id: int
    path: str
    alt: int
    name: str
    serial_number: str
    runtime: bool


def parse_list(output: str) -> list[Setting]:
    """The devices in what `dfu-util -l` prints. It prints nothing about them when there are none."""
    return [
        Setting(
            int(m["vendor"], 16), int(m["product"], 16), m["path"], int(m["alt"]), m["name"], m["serial"],
            m["mode"] == "Runtime",
        )
        for m in _LINE.finditer(output)
    ]  # fmt: skip


def _run(argv: Sequence[str | Path], timeout_s: float) -> process.Transcript:
    return process.run(argv, timeout_s=timeout_s)


@dataclass(frozen=True)
class Dfu:
    """The runner.

    Attributes:
        run: starts a program; see `edgeq.process.run`.
    """

    run: Run = _run
    name: str = METHOD
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        ways = _ways(target)
        ids = ", ".join(f"{way.vendor_id:04x}:{way.product_id:04x}" for way in ways)
        return (
            f"a USB device {ids} in DFU mode; {ways[0].how}" if ways else "no DFU: the target's file has no id for it"
        )

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """Devices of the target's ids whose bootloader has the chip's flash.

        Raises:
            MissingDependencyError: dfu-util is not on PATH.
        """
        if self.run is _run and shutil.which(PROGRAM) is None:
            raise MissingDependencyError(
                f"there is no program '{PROGRAM}'",
                next_step="apt install dfu-util (or brew install dfu-util; https://dfu-util.sourceforge.net)",
                program=PROGRAM,
            )
        ids = {(way.vendor_id, way.product_id) for way in _ways(target)}
        settings = parse_list(self.run([PROGRAM, "-l"], _LIST_TIMEOUT_S).stdout)
        return [
            Device(
                METHOD,
                s.serial_number if s.serial_number not in ("", "UNKNOWN") else s.path,
                f"DFU device {s.vendor_id:04x}:{s.product_id:04x}",
                f"USB {s.path}",
                s.serial_number,
            )
            for s in settings
            if (s.vendor_id, s.product_id) in ids and not s.runtime and s.name.startswith("@Internal Flash")
        ]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Write, read back into a file and compare, and leave the bootloader.

        Raises:
            DeviceError: dfu-util failed (its own words are told), or what was read back differs.
        """
        started = time.monotonic()
        way = next(iter(_ways(target)))
        total = len(image.data)
        patience = 30.0 + total * _SECONDS_PER_BYTE
        with tempfile.TemporaryDirectory(prefix="edgeq-dfu-") as folder:
            wanted, got = Path(folder) / "firmware.bin", Path(folder) / "read.bin"
            wanted.write_bytes(image.data)
            listener(Progress("flash", 0, total, "bytes", "programming"))
            self._tool(write_argv(way, device, image.base, wanted), patience)
            listener(Progress("flash", total, total, "bytes", "reading back"))
            self._tool(read_argv(way, device, image.base, total, got), patience)
            read = got.read_bytes() if got.is_file() else b""
        if len(read) != total:
            raise DeviceError(
                f"{PROGRAM} read back {len(read)} of {total} bytes", where=device.where, next_step="flash it again"
            )
        compare(image, 0, read, target.name, listener)
        return FlashResult(
            device,
            image.base,
            total,
            verified=True,
            verification=f"{total:,} bytes read back over DFU and compared",
            reset=True,
            seconds=time.monotonic() - started,
        )

    def _tool(self, argv: list[str | Path], timeout_s: float) -> None:
        try:
            self.run(argv, timeout_s)
        except ToolError as failed:
            raise _explained(failed) from failed


def write_argv(way: FlashMethod, device: Device, base: int, file: Path) -> list[str | Path]:
    """dfu-util's arguments to write. Without "leave", so that it can be read back; never "mass-erase" or "force"."""
    return [*_common(way, device), "-s", f"{base:#010x}", "-D", file]


def read_argv(way: FlashMethod, device: Device, base: int, size: int, file: Path) -> list[str | Path]:
    """dfu-util's arguments to read back, and to start the program then."""
    return [*_common(way, device), "-s", f"{base:#010x}:{size}:leave", "-U", file]


def _common(way: FlashMethod, device: Device) -> list[str | Path]:
    chosen = ["-S", device.id] if device.id == device.serial_number else ["-p", device.id]
    return [PROGRAM, "-d", f"{way.vendor_id:04x}:{way.product_id:04x}", *chosen, "-a", "0"]


def _ways(target: Target) -> list[FlashMethod]:
    return [w for w in target.board.flash_method if w.method == METHOD and w.vendor_id]


def _explained(failed: ToolError) -> DeviceError | UnsupportedError:
    said = str(failed.facts.get("stderr", ""))
    if "not writeable" in said or "not readable" in said:
        return UnsupportedError(
            f"{PROGRAM} says that this memory can't be written or read",
            next_step="the chip may be protected",
            stderr=said,
        )
    if "No DFU capable" in said or "LIBUSB_ERROR_NO_DEVICE" in said or "LIBUSB_ERROR_PIPE" in said:
        step = "the board went away: enter its bootloader again (BOOT0 high, reset) and flash it again"
    elif "LIBUSB_ERROR_ACCESS" in said or "Cannot open device" in said:
        step = "no permission for the USB device: `edgeq doctor --udev` writes the rule that gives it"
    else:
        step = "enter the bootloader again (BOOT0 high, reset) and flash it again"
    return DeviceError(failed.what, where=failed.where, next_step=step, **failed.facts)


RUNNER = Dfu()
