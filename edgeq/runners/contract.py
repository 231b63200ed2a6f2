"""What a runner is. Flashing goes: find → pick a device → flash → read back → reset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeq.events import Listener
from edgeq.runners.image import Image
from edgeq.target import Target


@dataclass(frozen=True)
class Capabilities:
    """What a runner can do; asked before anything is tried.

    Attributes:
        verify: it reads back what it wrote and compares every byte.
        reset: it restarts the device.
        erase: it can wipe a whole chip.
        boots: the new firmware runs when `flash` returns.
        needs: what must be there for it, in words.
    """

    flash: bool
    verify: bool
    reset: bool
    erase: bool
    boots: bool
    needs: str


@dataclass(frozen=True)
class Device:
    """One device that a runner has found.

    Attributes:
        id: what `--device` takes: a probe's serial number, a drive's folder, a port.
        title: what it calls itself.
        where: how it is attached.
        serial_number: what USB calls it, by which it is found when it comes back; "" where that isn't known.
        has_console: before it was flashed a serial port was its own: only that can be its console afterwards, however
            many equal boards are here.
    """

    runner: str
    id: str
    title: str
    where: str
    serial_number: str = ""
    has_console: bool = False


@dataclass(frozen=True)
class FlashOptions:
    """What only some runners understand.

    Attributes:
        pack: a CMSIS-Pack file for chips that pyOCD doesn't know (pyocd).
        allow_erase: whether everything on the chip may be erased, where that is the only way in: a locked chip, or a
            bootloader that can't do less. Never without being asked.
        port: the serial port of the bootloader, or of the board that is to enter it ("" = found by USB id).
        frequency_hz: of the debug wire, 0 for the runner's own (pyocd).
        virtual: a virtual board that is to be found in place of what is plugged in: `virtual:TARGET` (pyocd).
    """

    pack: Path | None = None
    allow_erase: bool = False
    port: str = ""
    frequency_hz: int = 0
    virtual: str = ""


@dataclass(frozen=True)
class FlashResult:
    """What was done.

    Attributes:
        verified: every byte was read back and equals the image.
        verification: how, or why not.
        seconds: how long it took.
        notices: what a reader should know, one sentence each.
        answer: what the board said when it was asked which build it runs, "" if it wasn't.
    """

    device: Device
    base: int
    size_bytes: int
    verified: bool
    verification: str
    reset: bool
    seconds: float
    notices: tuple[str, ...] = ()
    answer: str = ""

    def to_json(self) -> dict[str, object]:
        """The body of `flash --json`."""
        return {
            "runner": self.device.runner,
            "device": {"id": self.device.id, "title": self.device.title, "where": self.device.where},
            "base": f"{self.base:#010x}",
            "size_bytes": self.size_bytes,
            "verified": self.verified,
            "verification": self.verification,
            "reset": self.reset,
            "answer": self.answer,
            "seconds": round(self.seconds, 3),
            "notices": list(self.notices),
        }


class Runner(Protocol):
    """A road to a device; see edgeq/runners/__init__.py for those that exist."""

    @property
    def name(self) -> str:
        """Its row in edgeq.registry.RUNNERS."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where, as half a sentence."""
        ...

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """The devices that are there now; never waits for one.

        Raises:
            MissingDependencyError: what it needs is not installed.
            UnsupportedError: it can't serve this target at all.
        """
        ...

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Write an image, compare where it can, and start it.

        Raises:
            DeviceError: it failed, or what was read back differs.
        """
        ...
