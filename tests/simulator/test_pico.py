"""The virtual Raspberry Pi Pico: boot ROM, second stage, Cortex-M0+ timing, the cache in front of the flash."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("unicorn")
pytest.importorskip("capstone")

from models import digits_int8_tflite

from edgeq import pipeline, process, target
from edgeq.events import silent
from edgeq.runners.contract import FlashOptions
from edgeq.runners.image import Image
from edgeq.runners.uf2 import Uf2
from edgeq.runners.uf2_file import covered, decode
from edgeq.simulator.board import Ended, VirtualBoard
from edgeq.simulator.cycles.cortex_m0plus import MODEL
from edgeq.simulator.faults import BoardFault
from edgeq.toolchains.firmware import Firmware

PICO = target.load("raspberry-pi-pico")
# Worked out by hand from table 3-1 of Arm DDI 0484.
SEQUENCES = {
    "adds r0, r1, r2\n movs r3, #1\n mov r8, r0\n add r0, r8": 4,
    "muls r0, r1": 1,
    "ldr r0, [r1]\n ldr r2, [r1, #4]\n ldrsb r3, [r1, r2]\n strb r3, [r1]": 8,
    "ldm r0!, {r1-r3}\n stm r0!, {r1, r2}": 7,
    "push {r4-r7, lr}\n pop {r4-r7}": 11,
    "mrs r0, primask\n dsb": 6,
    "cmp r0, r1\n sxtb r0, r1\n rev r0, r1": 3,
}
LAST = {"pop {r4, pc}": 5, "bl .": 3, "b .": 2, "beq .": 2, "bx lr": 2, "blx r3": 2, "mov pc, lr": 2}
"""Of those that branch: 3 + N with the PC among what is popped."""


def _codes(texts: list[str]) -> list[bytes]:
    from elftools.elf.elffile import ELFFile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = "".join(f'.section .s{i}, "ax"\n {text}\n' for i, text in enumerate(texts))
        (folder / "a.S").write_text(".syntax unified\n.thumb\n" + body)
        machine = ["-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"]
        process.run(
            [sys.executable, "-m", "ziglang", "cc", *machine, "-c", "a.S", "-o", "a.o"], timeout_s=60, cwd=folder
        )
        elf = ELFFile(io.BytesIO((folder / "a.o").read_bytes()))
        sections = [elf.get_section_by_name(f".s{i}") for i in range(len(texts))]
        return [bytes(s.data()) for s in sections if s is not None]


def test_cycles_are_those_of_arms_table() -> None:
    for text, code in zip(SEQUENCES, _codes(list(SEQUENCES)), strict=True):
        assert MODEL.price(code, 0x1000_0000, 8).cycles == SEQUENCES[text], text
    for text, code in zip(LAST, _codes(list(LAST)), strict=True):
        priced = MODEL.price(code, 0x1000_0000, 8)
        assert priced.cycles + priced.taken_cycles == LAST[text], text


@pytest.fixture(scope="module")
def firmware() -> Firmware:
    return pipeline.build(digits_int8_tflite(), PICO.name)


def test_the_image_answers_and_is_exact_and_a_cache_that_misses_costs(firmware: Firmware) -> None:
    model = digits_int8_tflite()
    real, ideal = (
        pipeline.profile(
            model, PICO.name, sim=True, firmware=firmware, samples=3, runs=1, wait_states=states, listener=silent
        )
        for states in (None, 0)
    )
    assert real.validation.bit_exact and ideal.validation.bit_exact
    assert real.provenance == "simulated" and ideal.median_cycles < real.median_cycles


def test_uf2_to_a_drive_then_that_boots(firmware: Firmware, tmp_path: Path) -> None:
    """What the bootloader would have taken off the drive is what boots: second stage, clocks, protocol, pin."""
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    image, taken = Image(firmware.base, firmware.image), list[bytes]()

    def bootloader() -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            file = drive / "FIRMWARE.UF2"
            if file.exists() and file.stat().st_size == 512 * -(-len(image.data) // 256):
                taken.append(file.read_bytes())
                shutil.rmtree(drive)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=bootloader, daemon=True)
    thread.start()
    runner = Uf2(mounts=lambda: [drive], settle_s=5.0, poll_s=0.01)
    (device,) = runner.find(PICO, FlashOptions())
    runner.flash(image, PICO, device, FlashOptions(), silent)
    thread.join(20)
    flashed = covered(decode(taken[0]), image.base, len(image.data))
    assert flashed is not None

    pins: list[tuple[str, bool]] = []
    board = VirtualBoard(PICO, flashed, pin_changed=lambda name, level, _: pins.append((name, level)))
    try:
        assert board.run(2_000_000) is Ended.IDLE
        assert b"m-ready" in board.sent and board.core_hz == 125_000_000
        pins.clear()
        board.feed(b"infer 1 0%")
        board.run(50_000_000, until=lambda: board.sent.count(b"m-ready") == 2)
        assert b"m-results-[" in board.sent
        assert [name for name, _ in pins] == ["GP2"] * 4  # a pulse at either edge of the window
        assert board.counters().instruction_misses > 0
    finally:
        board.close()


def test_a_second_stage_with_a_wrong_sum_isnt_started(firmware: Firmware) -> None:
    image = bytearray(firmware.image)
    image[40] ^= 1
    with pytest.raises(BoardFault, match="no second stage with a right CRC"):
        VirtualBoard(PICO, bytes(image))
