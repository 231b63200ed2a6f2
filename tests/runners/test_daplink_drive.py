"""DAPLink's drive: which drives are its, what FAIL.TXT says, and that it doesn't erase a whole chip unasked."""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq import target as targets
from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import silent
from edgeq.runners.contract import FlashOptions, FlashResult
from edgeq.runners.daplink_drive import DaplinkDrive
from edgeq.runners.image import Image
from edgeq.target import Target

DETAILS = """\
# DAPLink Firmware - see https://mbed.com/daplink
Unique ID: 9904360258434e45003e400e00000059000000009796990b
HIC ID: 9796990b
Auto Reset: 1
Page erasing: {erasing}
Daplink Mode: {mode}
Interface Version: 0255
"""
IMAGE = Image(0, struct.pack("<II", 0x2000_1000, 0x101) + bytes(3_000))


@pytest.fixture
def target() -> Target:
    board = targets.load("nrf52840dk")
    return replace(board, board=replace(board.board, drive_label="DAPLINK", runners=("daplink-drive",)))


def drive_at(place: Path, erasing: int = 1, mode: str = "Interface") -> Path:
    place.mkdir(parents=True)
    (place / "DETAILS.TXT").write_text(DETAILS.format(erasing=erasing, mode=mode))
    (place / "MBED.HTM").write_text("<html></html>")
    return place


def flash(
    drive: Path, target: Target, *, failure: str = "", name: str = "FAIL.TXT", erase: bool = False
) -> FlashResult:
    def probe() -> None:
        file = drive / "firmware.bin"
        for _ in range(500):
            time.sleep(0.01)
            if file.exists() and file.stat().st_size == len(IMAGE.data):
                away = drive.rename(drive.with_name("unplugged"))
                (away / "firmware.bin").unlink()
                if failure:
                    (away / name).write_text(failure)
                time.sleep(0.05)
                away.rename(drive)
                return

    on = DaplinkDrive(mounts=lambda: [drive], settle_s=5.0, poll_s=0.02)
    (device,) = on.find(target, FlashOptions())
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    return on.flash(IMAGE, target, device, FlashOptions(allow_erase=erase), silent)


def test_a_copy_that_is_taken(tmp_path: Path, target: Target) -> None:
    result = flash(drive_at(tmp_path / "DAPLINK"), target)
    assert not result.verified and "reported no failure" in result.verification
    assert result.device.serial_number == "9904360258434e45003e400e00000059000000009796990b"


@pytest.mark.parametrize("name", ["FAIL.TXT", "ASSERT.TXT"])
def test_what_the_probe_says_is_quoted(tmp_path: Path, target: Target, name: str) -> None:
    said = "error: The transfer timed out.\r\ntype: transient, user\r\n"
    with pytest.raises(DeviceError, match="The transfer timed out") as caught:
        flash(drive_at(tmp_path / "DAPLINK"), target, failure=said, name=name)
    assert "flash it again" in caught.value.next_step


def test_a_probe_that_would_erase_everything_is_refused_first(tmp_path: Path, target: Target) -> None:
    drive = drive_at(tmp_path / "DAPLINK", erasing=0)
    with pytest.raises(UnsupportedError, match="erases the whole chip") as caught:
        flash(drive, target)
    assert "--allow-erase" in caught.value.next_step
    assert not (drive / "firmware.bin").exists()
    time.sleep(0.1)
    assert flash(drive, target, erase=True).reset


def test_which_drives_are_daplinks(tmp_path: Path, target: Target) -> None:
    stlink = tmp_path / "a" / "DAPLINK"
    stlink.mkdir(parents=True)
    (stlink / "DETAILS.TXT").write_text("Version: 0221\n")
    (stlink / "MBED.HTM").write_text("")
    own_bootloader = drive_at(tmp_path / "b" / "DAPLINK", mode="Bootloader")
    right = drive_at(tmp_path / "c" / "DAPLINK")
    found = DaplinkDrive(mounts=lambda: [stlink, own_bootloader, right]).find(target, FlashOptions())
    assert [d.id for d in found] == [str(right)]
