"""The ST-Link's drive, with a folder standing for it and a thread for the probe behind it."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import Event, Progress, silent
from edgeq.runners.contract import FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.runners.stlink_drive import StlinkDrive

TARGET = targets.load("nucleo-l4r5zi")
IMAGE = Image(0x0800_0000, struct.pack("<II", 0x2000_1000, 0x0800_0101) + bytes(200_000))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    place = tmp_path / "NODE_L4R5ZI"
    place.mkdir()
    (place / "DETAILS.TXT").write_text("Version: 0221\n")
    (place / "MBED.HTM").write_text("<html></html>")
    return place


def runner(*places: Path, settle_s: float = 5.0) -> StlinkDrive:
    return StlinkDrive(mounts=lambda: list(places), settle_s=settle_s, poll_s=0.02)


@contextmanager
def probe(drive: Path, *, failure: str = "") -> Iterator[list[bytes]]:
    """Behind the drive: takes the whole file, unplugs the drive, and brings it back; gives what it took."""
    stop = threading.Event()
    taken: list[bytes] = []

    def work() -> None:
        file = drive / "firmware.bin"
        while not stop.is_set():
            if file.exists() and file.stat().st_size == len(IMAGE.data):
                away = drive.rename(drive.with_name("unplugged"))
                taken.append((away / "firmware.bin").read_bytes())
                (away / "firmware.bin").unlink()
                if failure:
                    (away / "FAIL.TXT").write_text(failure + "\r\n")
                time.sleep(0.1)
                away.rename(drive)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join(5)


def flash(on: StlinkDrive) -> FlashResult:
    return on.flash(IMAGE, TARGET, on.find(TARGET, FlashOptions())[0], FlashOptions(), silent)


def test_only_the_targets_drive_is_found(drive: Path, tmp_path: Path) -> None:
    stick = tmp_path / "USBSTICK"
    stick.mkdir()
    empty = tmp_path / "elsewhere" / "NODE_L4R5ZI"
    empty.mkdir(parents=True)
    found = runner(stick, empty, drive, tmp_path / "gone").find(TARGET, FlashOptions())
    assert [d.id for d in found] == [str(drive)]


def test_a_desktop_may_add_a_digit(drive: Path) -> None:
    again = drive.rename(drive.with_name("NODE_L4R5ZI1"))
    assert len(runner(again).find(TARGET, FlashOptions())) == 1
    other = again.rename(drive.with_name("NODE_L4R5"))
    assert runner(other).find(TARGET, FlashOptions()) == []


def test_a_copy_that_is_taken(drive: Path) -> None:
    events: list[Event] = []
    on = runner(drive)
    with probe(drive) as taken:
        result = on.flash(IMAGE, TARGET, on.find(TARGET, FlashOptions())[0], FlashOptions(), events.append)
    assert taken == [IMAGE.data]
    assert not result.verified and "can't read back" in result.verification
    assert result.notices == ()
    assert [e.done for e in events if isinstance(e, Progress)][-1] == len(IMAGE.data)


def test_fail_txt_is_quoted(drive: Path) -> None:
    words = "The interface firmware ran out of memory"
    with probe(drive, failure=words), pytest.raises(DeviceError, match=words) as caught:
        flash(runner(drive))
    assert caught.value.facts["said"] == words


def test_the_same_failure_twice_is_a_failure(drive: Path) -> None:
    (drive / "FAIL.TXT").write_text("Target is locked\r\n")
    with probe(drive, failure="Target is locked"), pytest.raises(DeviceError, match="locked"):
        flash(runner(drive))


def test_a_drive_that_does_not_come_back_is_not_called_a_success(drive: Path) -> None:
    result = flash(runner(drive, settle_s=0.2))
    assert not result.verified
    assert "did not come back" in result.notices[0]


def test_a_drive_that_refuses_the_copy(drive: Path) -> None:
    (drive / "firmware.bin").mkdir()
    with pytest.raises(DeviceError, match="could not program"):
        flash(runner(drive, settle_s=0.2))


def test_an_image_for_another_place_is_refused(drive: Path) -> None:
    on = runner(drive)
    with pytest.raises(UnsupportedError, match="0x08000000"):
        on.flash(Image(0x0810_0000, IMAGE.data), TARGET, on.find(TARGET, FlashOptions())[0], FlashOptions(), silent)
