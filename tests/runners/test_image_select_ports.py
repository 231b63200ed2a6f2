"""Images are checked before anything is touched; runners are chosen by what is there."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import target as targets
from edgeq.errors import (
    DeviceError,
    EdgeqError,
    InputFileError,
    MissingDependencyError,
    PortError,
    UnsupportedError,
    UsageError,
)
from edgeq.runners import locks, select
from edgeq.runners.contract import Device, FlashOptions
from edgeq.runners.image import Image, check_image, read_image
from edgeq.runners.ports import SerialPort, console_of, wait_for_console

TARGET = targets.load("nucleo-l4r5zi")
BASE = 0x0800_0000
GOOD = struct.pack("<II", 0x2000_1000, BASE + 0x101) + bytes(0x200)


def test_a_good_image() -> None:
    check_image(Image(BASE, GOOD), TARGET)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image(0x1000, GOOD), "no flash"),
        (Image(BASE, GOOD + bytes(2 * 1024 * 1024)), "ends at 0x08200000"),
        (Image(BASE, b"\x00\x10"), "too short"),
        (Image(BASE, struct.pack("<II", 0x1000_0000, BASE + 0x101) + bytes(0x200)), "not in RAM"),
        (Image(BASE, struct.pack("<II", 0x2000_1001, BASE + 0x101) + bytes(0x200)), "not in RAM"),
        (Image(BASE, struct.pack("<II", 0x2000_1000, BASE + 0x100) + bytes(0x200)), "Thumb bit"),
        (Image(BASE, struct.pack("<II", 0x2000_1000, BASE + 0x901) + bytes(0x200)), "outside the image"),
        (Image(BASE, bytes([0xFF]) * 64), "not in RAM"),
    ],
)  # fmt: skip
def test_images_that_cannot_run_are_refused(image: Image, words: str) -> None:
    with pytest.raises(InputFileError, match=words) as caught:
        check_image(image, TARGET)
    assert "edgeq build" in caught.value.next_step


@given(st.binary(max_size=600))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        check_image(Image(BASE, data), TARGET)
    except InputFileError:
        return
    stack, reset = struct.unpack_from("<II", data)
    assert 0x2000_0000 < stack <= 0x200A_0000 and reset & 1 and BASE <= reset - 1 < BASE + len(data)


def test_a_raw_binary_starts_at_the_flash(tmp_path: Path) -> None:
    (tmp_path / "firmware.bin").write_bytes(GOOD)
    assert read_image(tmp_path / "firmware.bin", TARGET).base == BASE
    assert read_image(tmp_path, TARGET).data == GOOD


def test_hex_and_binary_agree(tmp_path: Path) -> None:
    intelhex = pytest.importorskip("intelhex")
    content = intelhex.IntelHex()
    content.frombytes(GOOD, BASE)
    content.write_hex_file(str(tmp_path / "x.hex"))
    read = read_image(tmp_path / "x.hex", TARGET)
    assert (read.base, read.data) == (BASE, GOOD)
    (tmp_path / "bad.hex").write_text(":0000000")
    with pytest.raises(InputFileError, match="damaged"):
        read_image(tmp_path / "bad.hex", TARGET)


@pytest.mark.parametrize("size", [4, 20, 52, 80])
def test_a_truncated_elf_is_refused(tmp_path: Path, size: int) -> None:
    pytest.importorskip("elftools")
    header = (
        b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 52, 0, 0, 52, 32, 9, 40, 0, 0)
    )
    (tmp_path / "firmware.elf").write_bytes((header + bytes(80))[:size])
    with pytest.raises(InputFileError):
        read_image(tmp_path / "firmware.elf", TARGET)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="can't be read"):
        read_image(tmp_path / "firmware.bin", TARGET)
    (tmp_path / "firmware.bin").touch()
    with pytest.raises(InputFileError, match="empty"):
        read_image(tmp_path / "firmware.bin", TARGET)


def test_nothing_found_lists_what_was_looked_for_and_offers_sim() -> None:
    only_drive = replace(TARGET, board=replace(TARGET.board, runners=("stlink-drive", "virtual")))
    with pytest.raises(DeviceError) as caught:
        select.choose(only_drive)
    assert "NODE_L4R5ZI" in caught.value.what
    assert "--sim" in caught.value.next_step
    assert caught.value.facts["tried"]


def test_a_runner_that_does_not_suit_or_exist() -> None:
    bare = replace(TARGET, board=replace(TARGET.board, runners=("virtual",)))
    with pytest.raises(UnsupportedError, match="can't be flashed with 'stlink-drive'"):
        select.choose(bare, runner="stlink-drive")
    with pytest.raises(UsageError, match="no runner 'smoke-signals'"):
        select.choose(TARGET, runner="smoke-signals")


def test_a_missing_package_is_one_reason_among_others_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgeq import registry

    monkeypatch.setattr(registry, "installed", lambda package: package != "pyocd")
    with pytest.raises(DeviceError, match=r"edgeq\[device\]"):
        select.choose(TARGET)
    with pytest.raises(MissingDependencyError) as caught:
        select.choose(TARGET, runner="pyocd")
    assert caught.value.exit_code == 4


def test_options_that_a_runner_has_no_use_for_are_refused() -> None:
    with pytest.raises(EdgeqError, match="no use for a pack"):
        select.choose(TARGET, runner="stlink-drive", options=FlashOptions(pack=Path("x.pack")))


def test_devices_are_known_by_their_serial_numbers_too() -> None:
    """A drive is called by its folder; a J-Link's number has zeros in front on USB, and none in pyOCD."""
    drive = Device("stlink-drive", "/media/me/NODE_L4R5ZI", "ST-LINK drive", "mounted", "0672FF55")
    jlink = Device("pyocd", "683459357", "J-Link", "debug probe")
    longer = Device("pyocd", "6834593571", "J-Link", "debug probe")
    found = [drive, jlink, longer]
    assert select._matching(found, "0672ff55") == [drive]
    assert select._matching(found, "NODE_L4R5ZI") == [drive]
    assert select._matching(found, "000683459357") == [jlink]
    assert select._matching(found, "68345") == [jlink, longer]
    assert select._matching(found, "999") == [] and select._matching(found, "") == found
    console = SerialPort("/dev/ttyACM1", "J-Link", 0x1366, 0x1015, "000683459357")
    other = replace(console, device="/dev/ttyACM2", serial_number="000683459358")
    assert console_of(targets.load("nrf52840dk"), (other, console), "683459357") == console
    assert locks.key_of_usb("000683459357") in locks.keys_of_found(jlink)


STLINK = SerialPort("/dev/ttyACM0", "ST-LINK", 0x0483, 0x374B, "0672FF")
OTHER = SerialPort("/dev/ttyUSB0", "CP2102", 0x10C4, 0xEA60, "1")


def test_the_console_is_found_by_usb_id() -> None:
    assert console_of(TARGET, (OTHER, STLINK)) == STLINK


def test_two_equal_boards_are_told_apart_by_serial_number() -> None:
    second = replace(STLINK, device="/dev/ttyACM1", serial_number="99AA")
    with pytest.raises(PortError, match="several"):
        console_of(TARGET, (STLINK, second))
    assert console_of(TARGET, (STLINK, second), "99aa") == second


def test_no_console_lists_the_ports_and_offers_sim() -> None:
    with pytest.raises(PortError, match="ttyUSB0") as caught:
        console_of(TARGET, (OTHER,))
    assert "0483:374b" in caught.value.what
    assert "--sim" in caught.value.next_step


def test_a_board_that_was_just_flashed_may_take_a_while_to_come_back() -> None:
    seen = iter([(), (OTHER,), (OTHER, STLINK)])
    assert wait_for_console(TARGET, look=lambda: next(seen), timeout_s=5) == STLINK
    with pytest.raises(PortError, match="no serial port"):
        wait_for_console(TARGET, look=lambda: (), timeout_s=0.1)
