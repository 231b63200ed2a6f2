"""What kills firmware is reported with its place and cause, and nothing hangs."""

from __future__ import annotations

import pytest

from edgeq.errors import InputFileError
from edgeq.simulator.board import Ended
from edgeq.simulator.faults import BoardFault
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import ENABLE_FPU, TestImage, build

CASES = {
    "read": (" ldr r0, =0x60000000\n nop\nhere: ldr r1, [r0]\n", "bus-fault", "read of 4 bytes at 0x60000000"),
    "write": (" ldr r0, =0x60000001\nhere: strb r1, [r0]\n", "bus-fault", "write of 1 byte at 0x60000001"),
    "peripheral": (" ldr r0, =0x40005800\n ldr r0, =0x4000FC00\nhere: ldr r1, [r0]\n", "bus-fault", "0x4000FC00"),
    "flash": (" ldr r0, =0x08000000\nhere: str r0, [r0]\n", "bus-fault", "flash is read-only"),
    "jump": (" ldr r0, =0x70000001\n bx r0\n", "bad-jump", "jump to 0x70000000"),
    "arm state": (" ldr r0, =0x08000000\n bx r0\n", "undefined-instruction", "even address"),
    "undefined": (" nop\nhere: udf #1\n", "undefined-instruction", "undefined instruction"),
    "no fpu": (" nop\nhere: vmov.f32 s0, #1.0\n", "no-fpu", "FPU is off"),
    "ldm": (" ldr r0, =0x20000002\n b here\nhere: ldm r0, {r1, r2}\n", "unaligned", "not a multiple of four"),
    "ldrd": (
        " ldr r0, =0x20000000\n b here\nhere: adds r0, #1\n ldrd r1, r2, [r0]\n",
        "unaligned",
        "not a multiple of four",
    ),
    "vldr": (
        ENABLE_FPU + " ldr r0, =0x20000001\n b here\nhere: vldr s0, [r0]\n",
        "unaligned",
        "not a multiple of four",
    ),
    "breakpoint": (" nop\nhere: bkpt #1\n", "breakpoint", "without a debugger"),
    "stack": (" ldr r0, =0x20000004\n mov sp, r0\nhere: push {r0-r7}\n", "stack-overflow", "stack overflow"),
}


@pytest.mark.parametrize("name", CASES)
def test_fault(board: MakeBoard, name: str) -> None:
    body, kind, words = CASES[name]
    firmware = build(body)
    ended = "could not be stacked" if kind == "stack-overflow" else "fault handler loops for ever"
    with pytest.raises(BoardFault, match=ended) as raised:
        board(firmware).run(1_000_000)
    fault = raised.value.fault
    assert fault.kind == kind
    assert words in fault.cause
    assert raised.value.exit_code == 5
    if "here:" in body and kind != "unaligned":
        assert fault.symbol == "reset" + offset(firmware, fault.pc)
        assert f"0x{fault.pc:08X}" in str(raised.value)
        assert fault.pc == place(firmware, "here")


def place(firmware: TestImage, name: str) -> int:
    import io

    from elftools.elf.elffile import ELFFile

    table = ELFFile(io.BytesIO(firmware.elf)).get_section_by_name(".symtab")
    return int(table.get_symbol_by_name(name)[0]["st_value"]) & ~1


def offset(firmware: TestImage, pc: int) -> str:
    distance = pc - place(firmware, "reset")
    return f"+0x{distance:x}" if distance else ""


def test_lock_up_with_interrupts_off(board: MakeBoard) -> None:
    with pytest.raises(BoardFault, match="branch to itself while no interrupt can end it"):
        board(build(" cpsid i\n1: b 1b\n")).run(1_000_000)


def test_a_second_fault_in_the_fault_handler_reports_the_first(board: MakeBoard) -> None:
    handler = " ldr r0, =0x60000010\n ldr r0, [r0]\n bx lr\n"
    with pytest.raises(BoardFault, match="another fault in the fault handler") as raised:
        board(build(" ldr r0, =0x60000000\n ldr r1, [r0]\n", {"hard_fault": handler})).run(1_000_000)
    assert raised.value.fault.address == 0x6000_0000


def test_a_fault_handler_that_never_ends_is_reported(board: MakeBoard) -> None:
    handler = "1: nop\n nop\n b 1b\n"
    with pytest.raises(BoardFault, match="has not ended"):
        board(build(" udf #0\n", {"hard_fault": handler})).run()


def test_a_fault_that_the_firmware_handles_is_none(board: MakeBoard) -> None:
    """The handler steps over the faulting instruction, as test firmware for real boards does."""
    handler = " ldr r0, [sp, #24]\n adds r0, #2\n str r0, [sp, #24]\n bx lr\n"
    running = board(
        build(" udf #0\n ldr r0, =0x20000000\n movs r1, #9\n str r1, [r0]\n wfi\n", {"hard_fault": handler})
    )
    assert running.run(1_000_000) is Ended.IDLE
    assert running.read_memory(0x2000_0000, 1) == b"\x09"


def test_an_unaligned_ldr_is_no_fault(board: MakeBoard) -> None:
    assert board(build(" ldr r0, =0x20000001\n ldr r1, [r0]\n strh r1, [r0]\n wfi\n")).run(10_000) is Ended.IDLE


def test_without_elf_the_place_is_an_address(board: MakeBoard) -> None:
    firmware = build(" udf #3\n")
    with pytest.raises(BoardFault) as raised:
        board(TestImage(firmware.image, None)).run(10_000)  # type: ignore[arg-type]
    assert raised.value.fault.symbol == ""
    assert f"0x{raised.value.fault.pc:08X}" in str(raised.value)


@pytest.mark.parametrize("image", [b"", b"\0" * 4, b"\0" * 64, b"\xff" * 1000, b"\x7fELF" + b"\1" * 100])
def test_what_is_no_image_is_refused(board: MakeBoard, image: bytes) -> None:
    with pytest.raises(InputFileError):
        board(TestImage(image, None))  # type: ignore[arg-type]


def test_an_image_larger_than_the_flash_is_refused(board: MakeBoard) -> None:
    with pytest.raises(InputFileError, match="2097152"):
        board(TestImage(build(" wfi\n").image + bytes(2 << 20), None))  # type: ignore[arg-type]
