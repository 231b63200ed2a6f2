"""The drive that an ST-Link shows: copy a file onto it, and the probe programs it.

It can't read back. When it is done, the drive unplugs itself and comes back without the copied file; when
programming failed, with a file FAIL.TXT that says why.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.target import Target

_COPIED_NAME = "firmware.bin"
_FAILURE_NAME = "FAIL.TXT"
# What an ST-Link's drive always holds.
_MARKS = ("DETAILS.TXT", "MBED.HTM")
_CHUNK_BYTES = 64 * 1024


def mount_points() -> list[Path]:
    """The folders where file systems are mounted (Linux), and macOS's volumes."""
    found: list[Path] = []
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) > 2 and words[2] in ("vfat", "msdos", "fuseblk"):
            # The kernel writes a space as \040.
            found.append(Path(words[1].replace("\\040", " ")))
    volumes = Path("/Volumes")
    if volumes.is_dir():
        found += sorted(volumes.iterdir())
    return found


_CAPABILITIES = Capabilities(
    flash=True, verify=False, reset=True, erase=False, boots=True, needs="the board's drive, mounted"
)


@dataclass(frozen=True)
class StlinkDrive:
    """The runner.

    Attributes:
        mounts: where to look.
        settle_s: how long to wait for the drive to come back.
        poll_s: how often to look.
    """

    mounts: Callable[[], list[Path]] = mount_points
    settle_s: float = 20.0
    poll_s: float = 0.2
    name: str = "stlink-drive"
    capabilities: Capabilities = _CAPABILITIES

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        if not target.board.drive_label:
            return "no drive: the target's file names no drive_label"
        return (
            f"a mounted drive labelled {target.board.drive_label} with {' and '.join(_MARKS)} on it "
            "(if it is plugged in but not mounted: `udisksctl mount -b /dev/disk/by-label/"
            f"{target.board.drive_label}`)"
        )

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """Mounted drives of the target's label."""
        if options.pack is not None:
            raise UnsupportedError(
                f"{self.name} has no use for a pack", next_step="leave --pack out, or use --runner pyocd"
            )
        return [
            Device(self.name, str(place), "ST-LINK drive", f"mounted at {place}")
            for place in self.mounts()
            if _is_drive(place, target.board.drive_label)
        ]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Copy, wait until the drive comes back, and look for FAIL.TXT.

        Raises:
            DeviceError: the copy failed, or the ST-Link says so in FAIL.TXT, which is quoted.
        """
        flash = next(m for m in target.soc.memory if m.kind == "flash")
        if image.base != flash.base:
            raise UnsupportedError(
                f"the drive programs from {flash.base:#010x} on, the image starts at {image.base:#010x}",
                next_step="use --runner pyocd",
            )
        started = time.monotonic()
        drive = Path(device.id)
        before = _failure(drive)
        try:
            _copy(drive / _COPIED_NAME, image.data, listener)
        except OSError as failed:
            # The ST-Link drops the drive when it gives up: its reason, if any, is on the one that comes back.
            self._wait(drive, before)
            said = _failure(drive)
            raise _failed(said or f"{failed.strerror or failed}", drive) from failed
        came_back = self._wait(drive, before)
        said = _failure(drive)
        # On a drive that came back, even the same words as from an earlier failure are this one's.
        if said and (came_back or said != before):
            raise _failed(said, drive)
        return FlashResult(
            device,
            image.base,
            len(image.data),
            verified=False,
            verification="the ST-Link's drive can't read back; it reported no failure"
            if came_back
            else "the ST-Link's drive can't read back",
            reset=True,
            seconds=time.monotonic() - started,
            notices=()
            if came_back
            else (
                f"the drive did not come back within {self.settle_s:g} s, so whether the ST-Link wrote a "
                f"{_FAILURE_NAME} is unknown; `edgeq profile` asks the board itself which model it runs",
            ),
        )

    def _wait(self, drive: Path, before: str) -> bool:
        """Until the drive is back without the copied file, or with a new FAIL.TXT; whether it came."""
        end = time.monotonic() + self.settle_s
        while time.monotonic() < end:
            if _exists(drive / _MARKS[0]) and (
                not _exists(drive / _COPIED_NAME) or _failure(drive) not in ("", before)
            ):
                return True
            time.sleep(self.poll_s)
        return False


def _is_drive(place: Path, label: str) -> bool:
    """Whether it is the ST-Link drive of that label; desktops add a digit when a folder was left behind."""
    if not label or place.name.rstrip("0123456789") != label.rstrip("0123456789"):
        return False
    return place.name.startswith(label) and all(_exists(place / mark) for mark in _MARKS)


def _exists(path: Path) -> bool:
    # A drive that is just being unplugged answers with an I/O error.
    try:
        return path.exists()
    except OSError:
        return False


def _failure(drive: Path) -> str:
    """The words of FAIL.TXT, "" if there is none."""
    try:
        return (drive / _FAILURE_NAME).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _copy(path: Path, data: bytes, listener: Listener) -> None:
    with path.open("wb") as stream:
        for offset in range(0, len(data), _CHUNK_BYTES):
            stream.write(data[offset : offset + _CHUNK_BYTES])
            stream.flush()
            listener(Progress("flash", min(offset + _CHUNK_BYTES, len(data)), len(data), "bytes", "copying"))
        _sync(stream.fileno())
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _sync(folder)
        finally:
            os.close(folder)


def _sync(descriptor: int) -> None:
    # The drive unplugs itself as soon as it has the last byte, perhaps before this returns. Whether it took
    # them is for what comes back to say.
    with contextlib.suppress(OSError):
        os.fsync(descriptor)


def _failed(said: str, drive: Path) -> DeviceError:
    return DeviceError(
        f"the ST-Link could not program the board: {said}",
        where=str(drive),
        next_step="unplug and plug the board; if it stays, update the ST-Link's firmware or use --runner pyocd",
        said=said,
    )


RUNNER = StlinkDrive()
