"""Programming: from the outside, and by the firmware."""

from __future__ import annotations

from edgeq.simulator.board import Ended
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import build

UNLOCK = """
 ldr r0, =0x40022000
 ldr r1, =0x45670123
 str r1, [r0, #8]
 ldr r1, =0xCDEF89AB
 str r1, [r0, #8]
"""


def test_an_image_is_read_back_and_the_rest_is_erased(board: MakeBoard) -> None:
    firmware = build(" wfi\n")
    running = board(firmware)
    size = len(firmware.image)
    assert running.read_back(0, size) == firmware.image
    assert set(running.read_back(size)) == {0xFF}


def test_a_programmed_board_runs_the_new_image_after_a_reset(board: MakeBoard) -> None:
    old, new = (build(f" ldr r0, =0x20000000\n movs r1, #{n}\n str r1, [r0]\n wfi\n") for n in (1, 2))
    running = board(old)
    assert running.run(10_000) is Ended.IDLE
    running.program(0, new.image)
    running.reset()
    assert running.run(10_000) is Ended.IDLE
    assert running.read_memory(0x2000_0000, 1) == b"\x02"


def test_the_firmware_erases_and_programs_a_page(board: MakeBoard) -> None:
    body = (
        UNLOCK
        + """
 ldr r1, =0x00010022
 str r1, [r0, #0x14]
 movs r1, #1
 str r1, [r0, #0x14]
 ldr r2, =0x08004008
 ldr r3, =0x11223344
 str r3, [r2]
 str r3, [r2, #4]
 movs r1, #0
 str r1, [r0, #0x14]
 wfi
"""
    )
    running = board(build(body))
    running.program(0x4000, bytes(4096))
    assert running.run(10_000) is Ended.IDLE
    page = running.read_back(0x4000, 4096)
    assert page[:8] == b"\xff" * 8
    assert page[8:16] == bytes.fromhex("4433221144332211")
    assert set(page[16:]) == {0xFF}


def test_a_locked_flash_stays_as_it_is(board: MakeBoard) -> None:
    body = " ldr r0, =0x40022000\n ldr r1, =0x00010022\n str r1, [r0, #0x14]\n wfi\n"
    running = board(build(body))
    running.program(0x4000, bytes(4096))
    assert running.run(10_000) is Ended.IDLE
    assert set(running.read_back(0x4000, 4096)) == {0}


def test_programming_only_clears_bits_and_the_firmware_sees_it_at_once(board: MakeBoard) -> None:
    body = (
        UNLOCK
        + """
 ldr r1, =0x00010022
 str r1, [r0, #0x14]
 movs r1, #1
 str r1, [r0, #0x14]
 ldr r2, =0x08004008
 ldr r3, =0x11FF3344
 str r3, [r2]
 ldr r3, =0xFF22FF0F
 str r3, [r2]
 ldr r4, [r2]
 ldr r5, =0x20000000
 str r4, [r5]
 movs r1, #0
 str r1, [r0, #0x14]
 wfi
"""
    )
    running = board(build(body))
    assert running.run(10_000) is Ended.IDLE
    both = (0x11FF3344 & 0xFF22FF0F).to_bytes(4, "little")
    assert running.read_back(0x4008, 4) == both
    assert running.read_memory(0x2000_0000, 4) == both
