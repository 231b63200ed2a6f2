"""The pyOCD runner through pyOCD's real API, against a simulated probe and chip."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyocd")
pytest.importorskip("unicorn")

from pyocd.core import exceptions
from pyocd.probe import aggregator
from simulated_probe import FLASH_BASE, SimulatedProbe

from edgeq import target as targets
from edgeq.errors import DeviceError, InputFileError, UnsupportedError
from edgeq.events import Event, Progress
from edgeq.runners import select
from edgeq.runners.contract import FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.target import Target

# Not a multiple of a page or a read-back block.
IMAGE = Image(FLASH_BASE, struct.pack("<II", 0x2000_4000, FLASH_BASE + 9) + bytes(i * 7 % 251 for i in range(9_001)))


@pytest.fixture
def f429() -> Target:
    board = targets.load("nucleo-l4r5zi")
    return replace(board, soc=replace(board.soc, pyocd_target="stm32f429xi", pyocd_pack=""))


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedProbe]:
    made = SimulatedProbe()
    monkeypatch.setattr(SimulatedProbe, "connected", [made])
    monkeypatch.setattr(aggregator, "PROBE_CLASSES", {"simulated": SimulatedProbe})
    yield made


def test_an_image_is_written_read_back_and_started(probe: SimulatedProbe, f429: Target) -> None:
    probe.chip.flash.cells[:16] = bytes(16)  # something is there already and must be erased
    events: list[Event] = []
    choice = select.choose(f429, runner="pyocd")
    result = select.flash(IMAGE, f429, choice, listener=events.append)
    assert bytes(probe.chip.flash.cells[: len(IMAGE.data)]) == IMAGE.data
    assert result.verified and result.size_bytes == len(IMAGE.data)
    assert "read back" in result.verification
    assert probe.chip.resets >= 1
    stages = [e.detail for e in events if isinstance(e, Progress)]
    assert "programming" in stages and stages[-1] == "reading back"


def test_a_dead_flash_controller_is_caught(probe: SimulatedProbe, f429: Target) -> None:
    probe.chip.flash.dead = True
    with pytest.raises(DeviceError, match="does not hold what was written") as caught:
        select.flash(IMAGE, f429, select.choose(f429, runner="pyocd"))
    assert caught.value.exit_code == 5


def test_one_wrong_bit_is_caught_with_its_address(
    probe: SimulatedProbe, f429: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = probe.chip.read
    stuck = FLASH_BASE + 0x1234

    def with_a_stuck_bit(address: int, size: int) -> int:
        value = read(address, size)
        return value | 1 << 8 * (stuck - address) if address <= stuck < address + size else value

    monkeypatch.setattr(probe.chip, "read", with_a_stuck_bit)
    image = replace(IMAGE, data=IMAGE.data[:0x1234] + b"\x02" + IMAGE.data[0x1235:])
    with pytest.raises(DeviceError, match="0x08001234 it reads 0x03 instead of 0x02"):
        select.flash(image, f429, select.choose(f429, runner="pyocd"))


def test_a_generic_target_is_refused_before_anything_is_touched(probe: SimulatedProbe, f429: Target) -> None:
    generic = replace(f429, soc=replace(f429.soc, pyocd_target="cortex_m"))
    with pytest.raises(UnsupportedError, match="program nothing and report success"):
        select.choose(generic, runner="pyocd")
    assert probe.chip.resets == 0


def test_a_chip_that_pyocd_does_not_know_needs_its_pack(probe: SimulatedProbe) -> None:
    board = targets.load("nucleo-l4r5zi")
    choice = select.choose(board, runner="pyocd")
    with pytest.raises(UnsupportedError, match="without its CMSIS-Pack") as caught:
        select.flash(IMAGE, board, choice)
    assert "--pack" in caught.value.next_step and "Keil.STM32L4xx_DFP" in caught.value.next_step


def test_a_missing_pack(probe: SimulatedProbe, tmp_path: Path) -> None:
    board = targets.load("nucleo-l4r5zi")
    choice = select.choose(board, runner="pyocd")
    with pytest.raises(InputFileError, match="no such CMSIS-Pack"):
        select.flash(IMAGE, board, choice, FlashOptions(pack=tmp_path / "no.pack"))


def test_a_silent_chip_names_the_wires(probe: SimulatedProbe, f429: Target) -> None:
    probe.answering = False
    with pytest.raises(DeviceError, match="pyOCD failed") as caught:
        select.flash(IMAGE, f429, select.choose(f429, runner="pyocd"))
    assert "SWD wires" in caught.value.next_step


@pytest.mark.slow
def test_an_unplug_at_any_moment_is_told_and_repaired_by_the_next_flash(probe: SimulatedProbe, f429: Target) -> None:
    """Of the probe's cable, which libusb and pyOCD tell in their ways, or of the wires behind it."""
    libusb, gone = OSError(19, "No such device"), exceptions.ProbeDisconnected("gone")
    small = Image(IMAGE.base, IMAGE.data[:1_000])

    def flash() -> FlashResult:
        return select.flash(small, f429, select.choose(f429, runner="pyocd"))

    flash()
    whole = probe.accesses
    wires = exceptions.TransferError("No ACK received")
    for share, says in ((0.02, libusb), (0.5, libusb), (0.97, libusb), (0.3, gone), (0.7, wires)):
        probe.chip.flash.cells[:] = b"\x5a" * len(probe.chip.flash.cells)
        probe.accesses, probe.unplug_after, probe.unplugged_says = 0, round(share * whole), says
        with pytest.raises(DeviceError, match="pyOCD failed") as caught:
            flash()
        assert caught.value.next_step
    probe.unplug_after = 0
    assert flash().verified and bytes(probe.chip.flash.cells[: len(small.data)]) == small.data


def test_no_probe_does_not_wait(monkeypatch: pytest.MonkeyPatch, f429: Target) -> None:
    monkeypatch.setattr(aggregator, "PROBE_CLASSES", {})
    with pytest.raises(DeviceError, match="a debug probe that pyOCD knows") as caught:
        select.choose(f429, runner="pyocd")
    assert "--sim" in caught.value.next_step


def test_two_probes_want_a_choice(probe: SimulatedProbe, f429: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimulatedProbe("SIM-OTHER")
    monkeypatch.setattr(SimulatedProbe, "connected", [probe, other])
    with pytest.raises(Exception, match="2 devices") as caught:
        select.choose(f429, runner="pyocd")
    assert "--device" in caught.value.next_step
    assert select.choose(f429, runner="pyocd", device="other").device.id == "SIM-OTHER"


def test_nothing_of_the_users_folder_is_executed(
    probe: SimulatedProbe, f429: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyocd_user.py").write_text("open('executed', 'w').close()\n")
    (tmp_path / "pyocd.yaml").write_text("target_override: cortex_m\n")
    monkeypatch.chdir(tmp_path)
    select.flash(IMAGE, f429, select.choose(f429, runner="pyocd"))
    assert not (tmp_path / "executed").exists()
    assert Path.cwd() == tmp_path
