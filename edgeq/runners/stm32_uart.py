"""The boot ROM of STM32 chips over a UART: any USB-to-serial adapter, no debug probe.

BOOT0 is high and the board was reset: then the ROM listens. Only the pages that the image needs are erased. An image
that was written by half is no trouble for the next time: the ROM can't be overwritten.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from edgeq import registry
from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import Listener, Notice, Progress
from edgeq.runners import ports
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image, compare
from edgeq.runners.port import open_port
from edgeq.runners.sectors import flash_at, pieces
from edgeq.runners.stm32_rom import PACKET_BYTES, BootRom
from edgeq.target import Target

METHOD = "stm32-uart"
_BAUD = 115_200
_CAPABILITIES = Capabilities(
    flash=True,
    verify=True,
    reset=False,
    erase=True,
    boots=True,
    needs="a USB-to-serial adapter on the pins that the boot ROM listens to, and BOOT0 high at reset",
)


@dataclass(frozen=True)
class Stm32Uart:
    """The runner."""

    name: str = METHOD
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        how = next((way.how for way in target.board.flash_method if way.method == METHOD), "")
        return f"a port named with --port ({how or 'the adapter on the pins of the boot ROM'})"

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """The port that was named. None is tried by itself: what is behind another may mind the bytes."""
        registry.require(registry.RUNNERS[METHOD], f"the runner '{METHOD}'")
        if not options.port:
            return []
        serial = next((p.serial_number for p in ports.present() if p.device == options.port), "")
        return [Device(METHOD, options.port, "boot ROM", f"serial port {options.port}", serial)]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Erase the image's pages, write, read back and compare, start.

        Raises:
            DeviceError: the ROM doesn't answer or refuses, the port went away, or what was read back differs.
            UnsupportedError: the chip is protected and erasing it isn't allowed.
        """
        started = time.monotonic()
        memory = flash_at(target, image.base)
        pages = pieces(memory, image.base, len(image.data))
        port = open_port(device.id, _BAUD, even_parity=True)
        try:
            rom = BootRom(port, device.id)
            chip = rom.connect()
            listener(Notice(f"boot ROM of chip {chip:#05x}", "flash"))
            _unlock(rom, image, options)
            rom.erase(pages)
            _write(rom, image, listener)
            _compare(rom, image, target, listener)
            rom.go(image.base)
        finally:
            with contextlib.suppress(OSError):
                port.close()
        return FlashResult(
            device,
            image.base,
            len(image.data),
            verified=True,
            verification=f"{len(image.data):,} bytes read back by the boot ROM and compared",
            reset=False,
            seconds=time.monotonic() - started,
            notices=(
                f"erased pages {pages[0]} to {pages[-1]} and nothing else; the program was started without a reset: "
                "set BOOT0 low, so that it starts at the next one too",
            ),
        )


def _unlock(rom: BootRom, image: Image, options: FlashOptions) -> None:
    """A chip that is protected against reading refuses everything else too; taking that off erases it."""
    try:
        rom.read(image.base, 4)
    except DeviceError as refused:
        if refused.facts.get("reason") != "refused":
            raise
        if not options.allow_erase:
            raise UnsupportedError(
                "the chip is protected against reading; only erasing all of it takes that off",
                where=refused.where,
                next_step="add --allow-erase if everything on it may go",
                reason="protected",
            ) from refused
        rom.unprotect()
        rom.connect()


def _write(rom: BootRom, image: Image, listener: Listener) -> None:
    total = len(image.data)
    for offset in range(0, total, PACKET_BYTES):
        rom.write(image.base + offset, image.data[offset : offset + PACKET_BYTES])
        listener(Progress("flash", min(offset + PACKET_BYTES, total), total, "bytes", "programming"))


def _compare(rom: BootRom, image: Image, target: Target, listener: Listener) -> None:
    for offset in range(0, len(image.data), PACKET_BYTES):
        count = min(PACKET_BYTES, len(image.data) - offset)
        compare(image, offset, rom.read(image.base + offset, count), target.name, listener)


RUNNER = Stm32Uart()
