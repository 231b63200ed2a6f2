"""After flashing, the board is asked which build it runs."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_double import Behaviour, DeviceDouble, Firmware
from fake_model import BUILD, SHA256, fake_manifest

from edgeq import pipeline
from edgeq import target as targets
from edgeq.codegen.tree import MANIFEST_NAME
from edgeq.errors import DeviceError, PortError
from edgeq.runners import ports, stlink_drive
from edgeq.runners.contract import FlashResult
from edgeq.runners.ports import SerialPort
from edgeq.runners.stlink_drive import StlinkDrive

TARGET = targets.load("nucleo-l4r5zi")
IMAGE = struct.pack("<II", 0x2000_1000, 0x0800_0101) + bytes(5_000)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "firmware.bin").write_bytes(IMAGE)
    (folder / MANIFEST_NAME).write_text(fake_manifest(TARGET).to_json())
    return folder


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The ST-Link's drive: takes one file."""
    drive = tmp_path / "NODE_L4R5ZI"
    drive.mkdir()
    (drive / "DETAILS.TXT").write_text("Version: 0221\n")
    (drive / "MBED.HTM").write_text("")
    monkeypatch.setattr(stlink_drive, "RUNNER", StlinkDrive(mounts=lambda: [drive], settle_s=5.0, poll_s=0.02))
    monkeypatch.setattr(ports, "present", lambda: ())
    stop = threading.Event()

    def probe() -> None:
        while not stop.wait(0.01):
            file = drive / "firmware.bin"
            if file.exists() and file.stat().st_size == len(IMAGE):
                file.unlink()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    yield drive
    stop.set()
    thread.join(5)


def flash(image: Path, port: str = "", hello: bool | None = None) -> FlashResult:
    return pipeline.flash(image, TARGET, runner="stlink-drive", port=port, hello=hello)


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file in it"])
def test_the_build_that_was_flashed_answers(board: Path, build: Path, whole: bool) -> None:
    with DeviceDouble(Firmware(sha256=SHA256, build=BUILD)) as device:
        result = flash(build if whole else build / "firmware.bin", device.port)
    assert not result.verified  # that drive can't read back
    assert BUILD in result.answer and device.port in result.answer
    assert result.to_json()["answer"] == result.answer


@pytest.mark.parametrize("firmware", [Firmware(sha256=SHA256, build="f" * 16), Firmware(sha256="cd" * 32, build=BUILD)])
def test_another_build_that_answers_is_an_error(board: Path, build: Path, firmware: Firmware) -> None:
    with DeviceDouble(firmware) as device, pytest.raises(DeviceError, match="not what was flashed") as caught:
        flash(build, device.port)
    assert caught.value.exit_code == 5 and "reset the board" in caught.value.next_step


def test_firmware_of_others_that_answers_is_an_error(board: Path, build: Path) -> None:
    with (
        DeviceDouble(behaviour=Behaviour(standard_only=True)) as device,
        pytest.raises(DeviceError, match="runs firmware without edgeq"),
    ):
        flash(build, device.port)


def test_a_board_that_restarts_slowly_is_waited_for(board: Path, build: Path, tmp_path: Path) -> None:
    """Its port comes a second after the flash is done."""
    with DeviceDouble(Firmware(sha256=SHA256, build=BUILD)) as device:
        link = tmp_path / "ttyACM0"
        timer = threading.Timer(1.0, lambda: link.symlink_to(device.port))
        timer.start()
        started = time.monotonic()
        assert flash(build, str(link)).answer
        assert time.monotonic() - started >= 0.9


def test_without_a_console_or_a_build_it_is_not_asked_and_that_is_said(
    board: Path, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "console_of_flashed", lambda *a, **k: ports.console_of(TARGET, ()))
    assert "was not asked what it runs: no serial port" in flash(build).notices[-1]
    with pytest.raises(PortError):
        flash(build, hello=True)
    assert flash(build, hello=False).notices == ()
    (build / MANIFEST_NAME).unlink()
    assert "no edgeq.json" in flash(build).notices[-1]


def test_another_board_of_the_kind_is_not_asked_instead(
    board: Path, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two equal boards with one build; the one that is flashed comes back late, under another name."""
    (board / "DETAILS.TXT").write_text("Version: 0221\nUnique ID: 0672FF\n")
    with (
        DeviceDouble(Firmware(sha256=SHA256, build=BUILD)) as flashed,
        DeviceDouble(Firmware(sha256=SHA256, build=BUILD)) as other,
    ):

        def at(port: str, serial: str) -> SerialPort:
            return SerialPort(port, "ST-LINK", 0x0483, 0x374B, serial)

        asked = 0

        def present() -> tuple[SerialPort, ...]:
            nonlocal asked
            asked += 1
            here = () if asked in (2, 3) else (at("/dev/ttyACM9" if asked == 1 else flashed.port, "0672FF"),)
            return (at(other.port, "0999AA"), *here)

        monkeypatch.setattr(ports, "present", present)
        defaults = {**(ports.wait_for_console.__kwdefaults__ or {}), "look": present}
        monkeypatch.setattr(ports.wait_for_console, "__kwdefaults__", defaults)
        assert flashed.port in flash(build).answer
        assert asked == 4 and other.firmware.seen == []
