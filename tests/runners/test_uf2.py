"""UF2 drives, with a folder standing for the drive and a thread for the bootloader behind it."""

from __future__ import annotations

import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import target as targets
from edgeq.errors import DeviceError, InputFileError
from edgeq.events import Event, Progress
from edgeq.runners import drives
from edgeq.runners.contract import FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.runners.uf2 import Uf2
from edgeq.runners.uf2_file import BLOCK_BYTES, covered, decode, encode

TARGET = targets.load("raspberry-pi-pico")
FAMILY = 0xE48B_FF56  # RP2040, microsoft/uf2 utils/uf2families.json
IMAGE = Image(0x1000_0000, struct.pack("<II", 0x2000_1000, 0x1000_0101) + bytes(i * 7 % 251 for i in range(20_001)))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    place = tmp_path / "RPI-RP2"
    place.mkdir()
    (place / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    return place


@dataclass
class Bootloader:
    """Takes a UF2 file off its drive, block by block, as soon as it is all there.

    Attributes:
        family: blocks of another one are ignored.
        shows: what becomes CURRENT.UF2 on a drive that stays; None, the drive goes away.
        unplug_at: bytes of the file after which the drive is pulled out; 0 = never.
    """

    drive: Path
    family: int = FAMILY
    stays: bool = False
    spoil: bool = False
    unplug_at: int = 0
    flash: dict[int, bytes] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[Bootloader]:
        stop = threading.Event()
        thread = threading.Thread(target=self._serve, args=(stop,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join(10)

    def _serve(self, stop: threading.Event) -> None:
        file = self.drive / "FIRMWARE.UF2"
        while not stop.is_set():
            time.sleep(0.005)
            data = file.read_bytes() if file.exists() else b""
            if self.unplug_at and len(data) >= self.unplug_at:
                shutil.rmtree(self.drive)
                return
            if len(data) < BLOCK_BYTES or len(data) < BLOCK_BYTES * struct.unpack_from("<I", data, 24)[0]:
                continue
            if struct.unpack_from("<I", data, 28)[0] != self.family:
                return
            self.flash.update(decode(data))
            if self.spoil:
                at = IMAGE.base + 0x1200
                self.flash[at] = b"\0" + self.flash[at][1:]
            if not self.stays:
                shutil.rmtree(self.drive)
                return
            held = b"".join(self.flash[a] for a in sorted(self.flash))
            (self.drive / "CURRENT.UF2").write_bytes(encode(IMAGE.base, held, self.family))
            file.unlink()
            return


def flash(drive: Path, events: list[Event] | None = None) -> FlashResult:
    on = Uf2(mounts=lambda: [drive], settle_s=2.0, poll_s=0.01)
    (device,) = on.find(TARGET, FlashOptions())
    return on.flash(IMAGE, TARGET, device, FlashOptions(), events.append if events is not None else lambda event: None)


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 1 << 20))
def test_a_file_holds_what_it_was_made_of(data: bytes, page: int) -> None:
    made = encode(page * 256, data, FAMILY)
    blocks = decode(made)
    assert len(made) == BLOCK_BYTES * -(-len(data) // 256) == BLOCK_BYTES * len(blocks)
    assert covered(blocks, page * 256, len(data)) == data
    assert covered(blocks, page * 256 + len(blocks) * 256, 1) is None


def test_the_blocks_are_as_the_format_says() -> None:
    made = encode(0x1000_0000, bytes(300), FAMILY)
    assert struct.unpack_from("<8I", made, 512) == (
        0x0A32_4655, 0x9E5D_5157, 0x2000, 0x1000_0100, 256, 1, 2, FAMILY,
    )  # fmt: skip
    assert struct.unpack_from("<I", made, 1020) == (0x0AB1_6F30,)
    with pytest.raises(InputFileError, match="multiples"):
        encode(0x1000_0010, b"x", FAMILY)
    with pytest.raises(InputFileError, match="no UF2 file: block 1"):
        decode(made[:512] + bytes(512))


def test_the_family_is_the_targets() -> None:
    (way,) = [w for w in TARGET.board.flash_method if w.method == "uf2"]
    assert way.uf2_family_id == FAMILY and "uf2families.json" in way.source


def test_a_board_that_restarts(drive: Path) -> None:
    events: list[Event] = []
    with Bootloader(drive).running() as board:
        result = flash(drive, events)
    assert covered(board.flash, IMAGE.base, len(IMAGE.data)) == IMAGE.data
    assert result.reset and not result.verified and "no way to read back" in result.verification
    assert [e for e in events if isinstance(e, Progress)]


def test_a_drive_that_shows_what_it_holds_is_read_back(drive: Path) -> None:
    with Bootloader(drive, stays=True).running():
        result = flash(drive)
    assert result.verified and "CURRENT.UF2" in result.verification


def test_one_wrong_byte_in_what_is_read_back(drive: Path) -> None:
    with (
        Bootloader(drive, stays=True, spoil=True).running(),
        pytest.raises(DeviceError, match=r"at 0x10001200 it reads 0x00 instead of 0x\w\w"),
    ):
        flash(drive)


def test_a_bootloader_of_another_family_takes_nothing(drive: Path) -> None:
    with Bootloader(drive, family=0xADA5_2840).running(), pytest.raises(DeviceError, match="did not take") as caught:
        flash(drive)
    assert "0xe48bff56" in caught.value.next_step


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_a_drive_that_is_pulled_out(drive: Path, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drives, "_CHUNK_BYTES", 512)
    kept = shutil.copytree(drive, drive.parent / "kept")
    size = len(encode(IMAGE.base, IMAGE.data, FAMILY))

    def pulled(event: Event) -> None:
        if isinstance(event, Progress) and event.done >= share * size:
            shutil.rmtree(drive, ignore_errors=True)
            raise OSError(5, "Input/output error")

    on = Uf2(mounts=lambda: [drive], settle_s=1.0, poll_s=0.01)
    (device,) = on.find(TARGET, FlashOptions())
    with pytest.raises(DeviceError, match="went away before it had the whole file") as caught:
        on.flash(IMAGE, TARGET, device, FlashOptions(), pulled)
    assert "flash it again" in caught.value.next_step
    shutil.copytree(kept, drive)
    with Bootloader(drive).running() as board:
        assert flash(drive).reset
    assert covered(board.flash, IMAGE.base, len(IMAGE.data)) == IMAGE.data


def test_other_drives_are_left_alone(drive: Path, tmp_path: Path) -> None:
    stick = tmp_path / "USBSTICK"
    stick.mkdir()
    other = tmp_path / "NICENANO"
    other.mkdir()
    (other / "INFO_UF2.TXT").write_text("Model: another\n")
    found = Uf2(mounts=lambda: [stick, other, drive]).find(TARGET, FlashOptions())
    assert [d.id for d in found] == [str(drive)] and found[0].title == "Raspberry Pi RP2"
    assert "BOOTSEL" in Uf2().looked_for(TARGET)
