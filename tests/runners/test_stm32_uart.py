"""The STM32 boot ROM: edgeq's own client, and stm32loader as a witness that the emulated ROM is one."""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stm32_rom_double import BASE, RomDouble

from edgeq import target as targets
from edgeq.errors import DeviceError, EdgeqError, UnsupportedError
from edgeq.events import Event, Progress
from edgeq.runners import select
from edgeq.runners.contract import FlashOptions, FlashResult
from edgeq.runners.image import Image
from edgeq.runners.sectors import pieces

TARGET = targets.load("nucleo-l4r5zi")
PAGE = 4096
PAGES = (PAGE,) * 32
# Over several pages, neither a multiple of a page nor of a packet nor of a flash word.
IMAGE = Image(BASE, struct.pack("<II", 0x2000_4000, BASE + 9) + bytes(i * 7 % 251 for i in range(9_003)))


def flash(rom: RomDouble, events: list[Event] | None = None, *, allow_erase: bool = False) -> FlashResult:
    options = FlashOptions(allow_erase=allow_erase)
    choice = select.choose(TARGET, runner="stm32-uart", device=rom.port, options=options)
    return select.flash(IMAGE, TARGET, choice, options, events.append if events is not None else lambda event: None)


def test_the_pages_of_the_image_are_erased_and_no_others() -> None:
    events: list[Event] = []
    with RomDouble(PAGES) as rom:
        result = flash(rom, events)
    assert bytes(rom.flash[: len(IMAGE.data)]) == IMAGE.data
    assert rom.erased == [0, 1, 2] and not rom.mass_erased
    assert not any(rom.flash[3 * PAGE :])  # what was there is there still
    assert rom.started_at == BASE
    assert result.verified and "read back" in result.verification
    stages = [e.detail for e in events if isinstance(e, Progress)]
    assert "programming" in stages and stages[-1] == "reading back"


def test_a_dead_flash_controller_is_caught() -> None:
    with RomDouble(PAGES, dead=True) as rom, pytest.raises(DeviceError, match="does not hold what was written"):
        flash(rom)
    assert rom.started_at == -1


def test_a_protected_chip_is_not_erased_unasked() -> None:
    with RomDouble(PAGES, protected=True) as rom, pytest.raises(UnsupportedError, match="protected") as caught:
        flash(rom)
    assert "--allow-erase" in caught.value.next_step
    assert not rom.mass_erased and not any(rom.flash)
    with RomDouble(PAGES, protected=True) as rom:
        assert flash(rom, allow_erase=True).verified
    assert rom.mass_erased


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.002, 0.004, 0.4, 0.95, 0.99])
def test_an_unplug_at_any_moment_is_told_and_repaired_by_the_next_flash(share: float) -> None:
    with RomDouble(PAGES) as good:
        flash(good)
    with (
        RomDouble(PAGES, unplug_after=1 + int(share * good.heard)) as rom,
        pytest.raises(DeviceError, match=r"went away|no such port") as caught,
    ):
        flash(rom)
    assert "flash it again" in caught.value.next_step
    with RomDouble(PAGES, flash=rom.flash) as again:
        assert flash(again).verified
    assert bytes(again.flash[: len(IMAGE.data)]) == IMAGE.data


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stale=st.binary(max_size=300))
def test_a_rom_that_was_left_in_the_middle_of_something(stale: bytes) -> None:
    """Whatever a host that was interrupted has sent: the next one gets in step, or says that it can't."""
    with RomDouble(PAGES) as rom:
        descriptor = os.open(rom.port, os.O_RDWR | os.O_NOCTTY)
        os.write(descriptor, bytes([0x31, 0xCE]) + stale)
        os.close(descriptor)
        try:
            flash(rom)
        except EdgeqError as failed:
            assert failed.next_step
            return
    assert bytes(rom.flash[: len(IMAGE.data)]) == IMAGE.data


def test_nothing_behind_the_port_is_told() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        choice = select.choose(TARGET, runner="stm32-uart", device=os.ttyname(slave))
        with pytest.raises(DeviceError, match="no boot ROM answers") as caught:
            select.flash(IMAGE, TARGET, choice)
    finally:
        os.close(master)
        os.close(slave)
    assert "BOOT0" in caught.value.next_step


def test_a_port_must_be_named() -> None:
    with pytest.raises(DeviceError, match="a port named with --port") as caught:
        select.choose(TARGET, runner="stm32-uart")
    assert "USART1" in caught.value.what


def test_sectors_that_differ_in_size() -> None:
    f429 = targets.load("nucleo-f429zi")
    memory = next(m for m in f429.soc.memory if m.name == "flash")
    assert pieces(memory, BASE, 1) == range(1)
    assert pieces(memory, BASE, 0x4001) == range(2)
    assert pieces(memory, BASE, 0x1_0001) == range(5)
    assert pieces(memory, BASE + 0x10_0000, 0x10_0000) == range(12, 24)
    l4r5 = next(m for m in TARGET.soc.memory if m.name == "flash")
    assert pieces(l4r5, BASE + 4095, 2) == range(2)


stm32loader = pytest.mark.skipif(
    importlib.util.find_spec("stm32loader") is None, reason="stm32loader is not installed: pip install stm32loader"
)


# A pseudo-terminal has no parity, and no modem lines, with which stm32loader would reset the chip.
LOADER = (
    "import serial; serial.Serial._update_rts_state = serial.Serial._update_dtr_state = lambda self: None; "
    "from stm32loader.__main__ import main; main()"
)


def loader(port: str, *arguments: str | Path) -> str:
    """The real stm32loader, as a process of its own."""
    argv = [sys.executable, "-c", LOADER, "-p", port, "-P", "none", "-f", "F4", "-a", hex(BASE), *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    return said


@stm32loader
def test_what_edgeq_wrote_stm32loader_reads(tmp_path: Path) -> None:
    with RomDouble(PAGES) as rom:
        flash(rom)
        loader(rom.port, "-r", "-l", str(len(IMAGE.data)), tmp_path / "read.bin")
    assert (tmp_path / "read.bin").read_bytes()[: len(IMAGE.data)] == IMAGE.data


@stm32loader
def test_what_stm32loader_wrote_edgeq_repairs(tmp_path: Path) -> None:
    """It erases, writes and verifies against the same emulated ROM; then edgeq's image takes its place."""
    (tmp_path / "other.bin").write_bytes(bytes(range(256)) * 12)
    with RomDouble(PAGES) as rom:
        assert "Verification OK" in loader(rom.port, "-e", "-w", "-v", tmp_path / "other.bin")
        assert bytes(rom.flash[:256]) == bytes(range(256)) and rom.mass_erased
        flash(rom)
    assert bytes(rom.flash[: len(IMAGE.data)]) == IMAGE.data
