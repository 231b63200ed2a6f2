"""Drives that take UF2 files: the RP2040's and RP2350's boot ROM, Adafruit's bootloader, TinyUF2.

The bootloader restarts the board as soon as it has all blocks, and the drive is gone. So what was written can only be
read back where the drive stays or returns and shows CURRENT.UF2; the boot ROMs of Raspberry Pi's chips don't have that.
A copy that was cut short is no trouble: the bootloader isn't overwritten, and takes the next file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.errors import DeviceError, InputFileError, UnsupportedError
from edgeq.events import Listener
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.drives import copy, exists, labelled, mount_points, words_of
from edgeq.runners.image import Image, compare
from edgeq.runners.uf2_file import PAYLOAD_BYTES, covered, decode, encode
from edgeq.runners.usb import number_of_drive
from edgeq.target import FlashMethod, Target

METHOD = "uf2"
_INFO = "INFO_UF2.TXT"
_CURRENT = "CURRENT.UF2"
_COPIED_NAME = "FIRMWARE.UF2"
_CAPABILITIES = Capabilities(
    flash=True, verify=False, reset=True, erase=False, boots=True, needs="the bootloader's drive, mounted"
)


@dataclass(frozen=True)
class Uf2:
    """The runner.

    Attributes:
        mounts: where to look.
        settle_s: how long to wait until the board has restarted.
        poll_s: how often to look.
    """

    mounts: Callable[[], list[Path]] = mount_points
    settle_s: float = 10.0
    poll_s: float = 0.1
    name: str = METHOD
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        ways = _ways(target)
        if not ways:
            return "no drive: the target's file has no flash_method 'uf2' with drive_label and uf2_family_id"
        label = ways[0].drive_label
        return (
            f"a mounted drive labelled {label} with {_INFO} on it; {ways[0].how} "
            f"(if it is plugged in but not mounted: `udisksctl mount -b /dev/disk/by-label/{label}`)"
        )

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """Mounted drives of the target's bootloader."""
        labels = [way.drive_label for way in _ways(target)]
        return [
            Device(
                self.name,
                str(place),
                info_of(place).get("model", "UF2 drive"),
                f"mounted at {place}",
                number_of_drive(place),
            )
            for place in self.mounts()
            if exists(place / _INFO) and any(labelled(place, label) for label in labels)
        ]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Copy the blocks, wait until the board has restarted, and read back what can be.

        Raises:
            UnsupportedError: the target's file names no UF2 family.
            DeviceError: the drive went away in the middle, the board didn't take the file, or what was read back
                differs.
        """
        ways = _ways(target)
        if not ways:
            raise UnsupportedError(f"the UF2 family of {target.name} isn't known", next_step="use another runner")
        started = time.monotonic()
        drive = Path(device.id)
        content = encode(image.base, image.data, ways[0].uf2_family_id)
        try:
            copy(drive / _COPIED_NAME, content, listener)
        except OSError as failed:
            raise _interrupted(drive, f"{failed.strerror or failed}") from failed
        left = self._gone(drive)
        read = _read_back(drive, image)
        result = FlashResult(
            device,
            image.base,
            len(image.data),
            verified=False,
            verification="the bootloader took all blocks and restarted the board; it has no way to read back",
            reset=left,
            seconds=time.monotonic() - started,
        )
        if read is not None:
            for offset in range(0, len(read), PAYLOAD_BYTES):
                compare(image, offset, read[offset : offset + PAYLOAD_BYTES], str(drive), listener)
            told = f"{len(image.data):,} bytes read back from {_CURRENT} and compared"
            result = replace(result, verified=True, verification=told)
        elif not left:
            raise DeviceError(
                f"the board has not restarted within {self.settle_s:g} s: it did not take the file",
                where=str(drive),
                next_step=f"check that the drive is {target.board.title}'s bootloader (family "
                f"{ways[0].uf2_family_id:#010x}); unplug it, enter the bootloader and flash it again",
                info=info_of(drive),
            )
        return result

    def _gone(self, drive: Path) -> bool:
        """Wait until the drive goes away, or shows what it has been given; whether it went."""
        end = time.monotonic() + self.settle_s
        while time.monotonic() < end:
            if not exists(drive / _INFO):
                return True
            if exists(drive / _CURRENT) and not exists(drive / _COPIED_NAME):
                return False
            time.sleep(self.poll_s)
        return False


def info_of(drive: Path) -> dict[str, str]:
    """The `Key: value` lines of INFO_UF2.TXT, keys in lower case ("model", "board-id")."""
    lines = (line.partition(":") for line in words_of(drive / _INFO).splitlines())
    return {key.strip().lower(): value.strip() for key, colon, value in lines if colon}


def _ways(target: Target) -> list[FlashMethod]:
    return [w for w in target.board.flash_method if w.method == METHOD and w.uf2_family_id and w.drive_label]


def _read_back(drive: Path, image: Image) -> bytes | None:
    """The image's bytes as CURRENT.UF2 has them; None where there is no such file."""
    try:
        return covered(decode((drive / _CURRENT).read_bytes()), image.base, len(image.data))
    except (OSError, InputFileError):
        return None


def _interrupted(drive: Path, said: str) -> DeviceError:
    return DeviceError(
        f"the drive went away before it had the whole file: {said}",
        where=str(drive),
        next_step="nothing is lost but the program: enter the bootloader again and flash it again",
        reason="gone",
    )


RUNNER = Uf2()
