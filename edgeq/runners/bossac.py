"""Arduino boards with a SAM-BA bootloader on their own USB: a touch at 1200 baud, then Arduino's bossac.

A sketch that sees its port opened at 1200 baud and closed restarts into the bootloader, which has another product id
and often another port. bossac is a program of its own; for the nRF52840 it must be Arduino's build (1.9.1-arduino2),
which the Arduino IDE and arduino-cli install; Debian's doesn't know the chip.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq import process, registry
from edgeq.errors import DeviceError, MissingDependencyError, ToolError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.runners import ports
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image, compare
from edgeq.runners.port import open_port
from edgeq.runners.ports import SerialPort
from edgeq.target import FlashMethod, Target

METHOD = "bossac"
PROGRAM = "bossac"
_SECONDS_PER_BYTE = 1 / 4000
_CAPABILITIES = Capabilities(
    flash=True,
    verify=True,
    reset=True,
    erase=True,
    boots=True,
    needs="Arduino's build of bossac, and the board's USB port",
)
Run = Callable[[Sequence[str | Path], float], process.Transcript]


def _run(argv: Sequence[str | Path], timeout_s: float) -> process.Transcript:
    return process.run(argv, timeout_s=timeout_s)


def program() -> str:
    """bossac on PATH, else the newest that the Arduino IDE or arduino-cli has installed; "" if there is none."""
    tools = Path.home() / ".arduino15" / "packages" / "arduino" / "tools" / PROGRAM
    installed = sorted(tools.glob(f"*/{PROGRAM}"))
    return str(installed[-1]) if installed else shutil.which(PROGRAM) or ""


@dataclass(frozen=True)
class Bossac:
    """The runner.

    Attributes:
        present: the serial ports that are there.
        run: starts a program; see `edgeq.process.run`.
        tool: finds bossac.
        settle_s: how long to wait for the bootloader's port.
    """

    present: Callable[[], tuple[SerialPort, ...]] = ports.present
    run: Run = _run
    tool: Callable[[], str] = program
    settle_s: float = 10.0
    poll_s: float = 0.1
    name: str = METHOD
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        way = _way(target)
        if way is None:
            return "no board: the target's file has no flash_method 'bossac'"
        ids = [*((u.vendor_id, u.product_id) for u in target.board.usb), (way.vendor_id, way.product_id)]
        return "a serial port " + " or ".join(f"{v:04x}:{p:04x}" for v, p in dict.fromkeys(ids)) + f"; {way.how}"

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """The board's ports, whether it runs a sketch or its bootloader.

        Raises:
            MissingDependencyError: pyserial or bossac is not installed.
        """
        registry.require(registry.RUNNERS[METHOD], f"the runner '{METHOD}'")
        if not self.tool():
            raise MissingDependencyError(
                f"there is no program '{PROGRAM}'",
                next_step="`arduino-cli core install arduino:mbed_nano` brings Arduino's build of it",
                program=PROGRAM,
            )
        way = _way(target)
        ids = {(u.vendor_id, u.product_id) for u in target.board.usb}
        if way is None:
            return []
        if options.port:
            return [Device(METHOD, options.port, target.board.title, f"serial port {options.port}")]
        return [
            Device(METHOD, p.device, p.title, f"serial port {p.device}", p.serial_number)
            for p in self.present()
            if (p.vendor_id, p.product_id) in {*ids, (way.vendor_id, way.product_id)}
        ]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Enter the bootloader, erase and write, read back and compare, restart.

        Raises:
            UnsupportedError: this bootloader can only erase everything behind itself, and that isn't allowed.
            DeviceError: the bootloader doesn't come, bossac failed, or what was read back differs.
        """
        way = _way(target)
        if way is None:
            raise UnsupportedError(f"{target.name} has no flash_method '{METHOD}'", where=target.name)
        if not options.allow_erase:
            raise UnsupportedError(
                "this bootloader erases everything behind itself before it writes, also what others have stored there",
                where=target.name,
                next_step="add --allow-erase, or use a debug probe with --runner pyocd",
                reason="erase",
            )
        started = time.monotonic()
        port = self._bootloader(way, device, listener)
        total = len(image.data)
        patience = 30.0 + total * _SECONDS_PER_BYTE
        with tempfile.TemporaryDirectory(prefix="edgeq-bossac-") as folder:
            wanted, got = Path(folder) / "firmware.bin", Path(folder) / "read.bin"
            wanted.write_bytes(image.data)
            listener(Progress("flash", 0, total, "bytes", "programming"))
            self._tool(write_argv(self.tool(), port, wanted), patience)
            listener(Progress("flash", total, total, "bytes", "reading back"))
            self._tool(read_argv(self.tool(), port, total, got), patience)
            read = got.read_bytes()[:total] if got.is_file() else b""
        if len(read) != total:
            raise DeviceError(
                f"{PROGRAM} read back {len(read)} of {total} bytes", where=port, next_step="flash it again"
            )
        compare(image, 0, read, target.name, listener)
        self._tool(reset_argv(self.tool(), port), 30.0)
        return FlashResult(
            device,
            image.base,
            total,
            verified=True,
            verification=f"{total:,} bytes read back by {PROGRAM} and compared",
            reset=True,
            seconds=time.monotonic() - started,
        )

    def _bootloader(self, way: FlashMethod, device: Device, listener: Listener) -> str:
        """The port of the bootloader, after a touch where a sketch is running."""
        before = {p.device: p for p in self.present()}
        here = before.get(device.id)
        if here is not None and (here.vendor_id, here.product_id) == (way.vendor_id, way.product_id):
            return device.id
        listener(Progress("flash", 0, None, "", "entering the bootloader"))
        touch(device.id, way.touch_baud or 1200)
        end = time.monotonic() + self.settle_s
        while time.monotonic() < end:
            found = [
                p
                for p in self.present()
                if (p.vendor_id, p.product_id) == (way.vendor_id, way.product_id)
                and (p.serial_number == device.serial_number or not device.serial_number or not p.serial_number)
            ]
            if found:
                return found[0].device
            time.sleep(self.poll_s)
        raise DeviceError(
            f"the bootloader {way.vendor_id:04x}:{way.product_id:04x} has not come within {self.settle_s:g} s",
            where=device.id,
            next_step="press the reset button twice, quickly: the LED fades in and out then; and flash it again",
            reason="no-bootloader",
        )

    def _tool(self, argv: list[str | Path], timeout_s: float) -> None:
        try:
            self.run(argv, timeout_s)
        except ToolError as failed:
            raise DeviceError(
                failed.what,
                where=failed.where,
                next_step="press the reset button twice, quickly, and flash it again; for an nRF52840 bossac must be "
                "Arduino's build",
                **failed.facts,
            ) from failed


def touch(port: str, baud: int) -> None:
    """Open a port at a speed that nobody uses, and close it: Arduino's sign to enter the bootloader.

    Raises:
        PortError: it can't be opened.
    """
    opened = open_port(port, baud, terminal_ready=True)
    with contextlib.suppress(OSError):  # it may go away at once
        time.sleep(0.1)
        opened.close()


def write_argv(tool: str, port: str, file: Path) -> list[str | Path]:
    """bossac's arguments to erase and write, as ArduinoCore-mbed's platform.txt has them, without the reset."""
    return [tool, *_common(port), "-e", "-w", file]


def read_argv(tool: str, port: str, size: int, file: Path) -> list[str | Path]:
    """bossac's arguments to read the image back."""
    return [tool, *_common(port), f"-r={size}", file]


def reset_argv(tool: str, port: str) -> list[str | Path]:
    """bossac's arguments to start the program."""
    return [tool, *_common(port), "-R"]


def _common(port: str) -> list[str]:
    # bossac puts "/dev/" in front of the name.
    return [f"--port={port.removeprefix('/dev/')}", "-U", "-i"]


def _way(target: Target) -> FlashMethod | None:
    return next((w for w in target.board.flash_method if w.method == METHOD), None)


RUNNER = Bossac()
