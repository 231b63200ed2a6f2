"""Drives that take a file and program it: where they are mounted, and copying to one that goes away when it has all."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.runners.contract import Capabilities, Device, FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.runners.usb import number_of_drive
from edgeq.target import Target

_COPIED_NAME = "firmware.bin"
_FAILURES = ("FAIL.TXT", "ASSERT.TXT")
_DETAILS = "DETAILS.TXT"
# What a debug probe's drive always holds, DAPLink's and ST-Link's alike (both come from Mbed's CMSIS-DAP firmware).
MARKS = (_DETAILS, "MBED.HTM")
_CHUNK_BYTES = 64 * 1024
_CAPABILITIES = Capabilities(
    flash=True, verify=False, reset=True, erase=False, boots=True, needs="the board's drive, mounted"
)


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


def exists(path: Path) -> bool:
    """Whether it is there; a drive that is just being unplugged answers with an I/O error."""
    try:
        return path.exists()
    except OSError:
        return False


def words_of(path: Path) -> str:
    """The text of a file, "" if there is none."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def labelled(place: Path, label: str) -> bool:
    """Whether a mount point is of that volume label; desktops add a digit when a folder was left behind."""
    if not label or place.name.rstrip("0123456789") != label.rstrip("0123456789"):
        return False
    return place.name.startswith(label)


def copy(path: Path, data: bytes, listener: Listener) -> None:
    """Write a file on a drive, piece by piece and as far as can be told to the drive itself.

    Raises:
        OSError: it went away, or refused.
    """
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


def details(drive: Path) -> dict[str, str]:
    """The `Key: value` lines of DETAILS.TXT, keys in lower case."""
    return {
        key.strip().lower(): value.strip()
        for key, value in re.findall(r"^([^:#\n]+):(.*)$", words_of(drive / _DETAILS), re.MULTILINE)
    }


@dataclass(frozen=True)
class ProbeDrive:
    """The drive of a debug probe: copy a binary onto it, and the probe programs it.

    It can't read back. When it is done, the drive unplugs itself and comes back without the copied file; when
    programming failed, with a file FAIL.TXT (or ASSERT.TXT) that says why.

    Attributes:
        probe: what people call it.
        mounts: where to look.
        settle_s: how long to wait for the drive to come back.
        poll_s: how often to look.
    """

    name: str
    probe: str
    mounts: Callable[[], list[Path]] = mount_points
    settle_s: float = 20.0
    poll_s: float = 0.2
    capabilities: Capabilities = _CAPABILITIES

    def labels(self, target: Target) -> list[str]:
        """The volume labels that the target's file names."""
        ways = [way.drive_label for way in target.board.flash_method if way.method == self.name]
        return list(dict.fromkeys(filter(None, [target.board.drive_label, *ways])))

    def accepts(self, drive: Path) -> bool:
        """Whether what is on a drive with the right label is this probe's."""
        return all(exists(drive / mark) for mark in MARKS)

    def check_erase(self, drive: Path, options: FlashOptions) -> None:
        """Refuse where this drive would erase more than it writes, unless that is allowed."""

    def looked_for(self, target: Target) -> str:
        """What `find` looks for and where."""
        labels = self.labels(target)
        if not labels:
            return "no drive: the target's file names no drive_label"
        return (
            f"a mounted drive labelled {' or '.join(labels)} with {' and '.join(MARKS)} on it "
            f"(if it is plugged in but not mounted: `udisksctl mount -b /dev/disk/by-label/{labels[0]}`)"
        )

    def find(self, target: Target, options: FlashOptions) -> list[Device]:
        """Mounted drives of the target's labels."""
        if options.pack is not None:
            raise UnsupportedError(
                f"{self.name} has no use for a pack", next_step="leave --pack out, or use --runner pyocd"
            )
        labels = self.labels(target)
        return [
            Device(
                self.name,
                str(place),
                f"{self.probe} drive",
                f"mounted at {place}",
                details(place).get("unique id", "") or number_of_drive(place),
            )
            for place in self.mounts()
            if any(labelled(place, label) for label in labels) and self.accepts(place)
        ]

    def flash(
        self, image: Image, target: Target, device: Device, options: FlashOptions, listener: Listener
    ) -> FlashResult:
        """Copy, wait until the drive comes back, and look for FAIL.TXT.

        Raises:
            UnsupportedError: an image for another place; or the probe would erase the whole chip, which isn't allowed.
            DeviceError: the copy failed, or the probe says so in FAIL.TXT, which is quoted.
        """
        flash = next(m for m in target.soc.memory if m.kind == "flash")
        if image.base != flash.base:
            raise UnsupportedError(
                f"the drive programs from {flash.base:#010x} on, the image starts at {image.base:#010x}",
                next_step="use --runner pyocd",
            )
        started = time.monotonic()
        drive = Path(device.id)
        self.check_erase(drive, options)
        before = _failure(drive)
        try:
            copy(drive / _COPIED_NAME, image.data, listener)
        except OSError as failed:
            # The probe drops the drive when it gives up: its reason, if any, is on the one that comes back.
            self._wait(drive, before)
            said = _failure(drive)
            raise self._failed(said or f"{failed.strerror or failed}", drive) from failed
        came_back = self._wait(drive, before)
        said = _failure(drive)
        # On a drive that came back, even the same words as from an earlier failure are this one's.
        if said and (came_back or said != before):
            raise self._failed(said, drive)
        return FlashResult(
            device,
            image.base,
            len(image.data),
            verified=False,
            verification=f"the {self.probe}'s drive can't read back; it reported no failure"
            if came_back
            else f"the {self.probe}'s drive can't read back",
            reset=True,
            seconds=time.monotonic() - started,
            notices=()
            if came_back
            else (
                f"the drive did not come back within {self.settle_s:g} s, so whether the {self.probe} wrote a "
                f"{_FAILURES[0]} is unknown; `edgeq profile` asks the board itself which model it runs",
            ),
        )

    def _wait(self, drive: Path, before: str) -> bool:
        """Until the drive is back without the copied file, or with a new FAIL.TXT; whether it came."""
        end = time.monotonic() + self.settle_s
        while time.monotonic() < end:
            if exists(drive / MARKS[0]) and (not exists(drive / _COPIED_NAME) or _failure(drive) not in ("", before)):
                return True
            time.sleep(self.poll_s)
        return False

    def _failed(self, said: str, drive: Path) -> DeviceError:
        return DeviceError(
            f"the {self.probe} could not program the board: {said}",
            where=str(drive),
            next_step=f"unplug and plug the board and flash it again; if it stays, update the {self.probe}'s firmware "
            "or use --runner pyocd",
            said=said,
        )


def _failure(drive: Path) -> str:
    """The words of FAIL.TXT or ASSERT.TXT, "" if there is neither."""
    return next(filter(None, (words_of(drive / name) for name in _FAILURES)), "")
