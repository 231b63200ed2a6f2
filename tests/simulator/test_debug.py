"""The debug wire: halting, stepping, registers, breakpoints, resets; and the ports in front of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("unicorn")
pytest.importorskip("capstone")
pytest.importorskip("ziglang")

from edgeq import target
from edgeq.errors import UnsupportedError
from edgeq.simulator.board import VirtualBoard
from edgeq.simulator.debug_port import DebugWire, WireError
from edgeq.simulator.debugger import Debugger
from edgeq.target import DebugPort
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import build

DHCSR, DCRSR, DCRDR, DEMCR, DFSR, AIRCR = (
    0xE000_EDF0, 0xE000_EDF4, 0xE000_EDF8, 0xE000_EDFC, 0xE000_ED30, 0xE000_ED0C,
)  # fmt: skip
KEY, RUN, HALT, STEP, MASKED = 0xA05F_0000, 1, 3, 5, 8
S_HALT, S_SLEEP, S_LOCKUP, S_RESET_ST = 1 << 17, 1 << 18, 1 << 19, 1 << 25
PC, RAM = 15, 0x2000_0000
POWER_UP = 0x5000_0000
SELECT, CTRL_STAT, ABORT = 0x8, 0x4, 0x0
CSW, TAR, DRW = 0x0, 0x4, 0xC
APPROTECT = 0x1000_1208


def status(debugger: Debugger) -> int:
    return debugger.read(DHCSR, 4)


def control(debugger: Debugger, bits: int) -> None:
    debugger.write(DHCSR, 4, KEY | bits)


def register(debugger: Debugger, number: int, value: int | None = None) -> int:
    if value is not None:
        debugger.write(DCRDR, 4, value)
    debugger.write(DCRSR, 4, number | (1 << 16 if value is not None else 0))
    return debugger.read(DCRDR, 4)


def in_ram(debugger: Debugger, code: str) -> None:
    """Halt, and go to Thumb code (hex) in RAM."""
    control(debugger, HALT)
    debugger.write_block(RAM, bytes.fromhex(code))
    register(debugger, PC, RAM | 1)


def test_a_breakpoint_halts_where_it_is(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    in_ram(debugger, "0120 0230 00be 00be")  # movs r0, #1; adds r0, #2; bkpt; bkpt
    control(debugger, RUN)
    assert status(debugger) & S_HALT
    assert (register(debugger, 0), register(debugger, PC)) == (3, RAM + 4)
    assert debugger.read(DFSR, 4) == 1 | 2
    debugger.write(DFSR, 4, 3)
    assert debugger.read(DFSR, 4) == 0


def test_code_that_the_debugger_replaces_is_run_as_it_is_now(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    for number in (1, 2):
        in_ram(debugger, f"0{number}20 00be")  # movs r0, #number; bkpt
        control(debugger, RUN)
        assert status(debugger) & S_HALT and register(debugger, 0) == number


def test_without_a_debugger_a_breakpoint_is_a_fault(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    in_ram(debugger, "00be")
    control(debugger, 0)
    assert not status(debugger) & S_HALT
    assert debugger.board.debug.locked_up is not None


def test_one_step_is_one_instruction(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    in_ram(debugger, "0120 0230 4ff00403 fee7")  # movs r0, #1; adds r0, #2; mov.w r3, #4; b .
    seen = []
    for _ in range(5):
        seen.append((register(debugger, PC) - RAM, register(debugger, 0), register(debugger, 3)))
        control(debugger, STEP)
        assert status(debugger) & S_HALT
    assert seen == [(0, 0, 0), (2, 1, 0), (4, 3, 0), (8, 3, 4), (8, 3, 4)]


def test_registers_are_read_and_written(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    control(debugger, HALT)
    numbers = [*range(15), 17, 18, 64, 95]
    for number in numbers:
        register(debugger, number, 0x1000_0000 + 4 * number)
    assert [register(debugger, n) for n in numbers if n not in (13, 17)] == [
        0x1000_0000 + 4 * n for n in numbers if n not in (13, 17)
    ]
    assert register(debugger, 13) == register(debugger, 17) == 0x1000_0000 + 4 * 17  # MSP is the stack pointer
    assert register(debugger, 20, 0x0100) == 0x0100 and register(debugger, 20) == 0x0100  # BASEPRI would be bits 8-15


def test_halting_and_resuming_loses_nothing(board: MakeBoard) -> None:
    count = "ldr r1, =0x20000000\nagain: adds r2, #1\n str r2, [r1]\n b again\n"
    debugger = board(build(count)).debugger()
    control(debugger, RUN)
    status(debugger)
    control(debugger, HALT)
    held = debugger.read(RAM, 4)
    assert held and status(debugger) & S_HALT and debugger.read(RAM, 4) == held
    control(debugger, RUN)
    assert not status(debugger) & S_HALT and debugger.read(RAM, 4) > held


def test_a_core_that_sleeps_can_be_halted(board: MakeBoard) -> None:
    debugger = board(build(" wfi\n")).debugger()
    control(debugger, RUN)
    assert status(debugger) & S_SLEEP
    control(debugger, HALT)
    assert status(debugger) & (S_HALT | S_SLEEP) == S_HALT


def test_a_core_that_has_locked_up_says_so_and_can_be_halted(board: MakeBoard) -> None:
    debugger = board(build(" .short 0xde00\n", {"hard_fault": " .short 0xde00\n"})).debugger()
    control(debugger, RUN)
    assert status(debugger) & S_LOCKUP
    control(debugger, HALT)
    assert status(debugger) & (S_HALT | S_LOCKUP) == S_HALT


def test_hard_faults_are_caught_where_that_is_asked_for(board: MakeBoard) -> None:
    debugger = board(build(" .short 0xde00\n")).debugger()
    control(debugger, RUN)
    debugger.write(DEMCR, 4, 1 << 10)
    assert status(debugger) & S_HALT
    assert debugger.read(DFSR, 4) == 8 and register(debugger, 16) & 0x1FF == 3


def test_a_reset_is_seen_once_and_can_be_caught(board: MakeBoard) -> None:
    debugger = board(build(" movs r0, #7\n wfi\n")).debugger()
    assert status(debugger) & S_RESET_ST and not status(debugger) & S_RESET_ST
    control(debugger, HALT)
    debugger.write(DEMCR, 4, 1)
    debugger.write(AIRCR, 4, 0x05FA_0004)
    assert status(debugger) & (S_RESET_ST | S_HALT) == S_RESET_ST | S_HALT
    assert register(debugger, 16) == 1 << 24
    assert register(debugger, 0) == 0 and register(debugger, PC) == debugger.read(0x0800_0004, 4) & ~1
    debugger.write(DEMCR, 4, 0)
    debugger.write(AIRCR, 4, 0x05FA_0004)
    assert not status(debugger) & S_HALT
    control(debugger, HALT)
    assert register(debugger, 0) == 7


def test_interrupts_wait_while_they_are_masked(board: MakeBoard) -> None:
    pends = " ldr r0, =0xE000ED04\n ldr r1, =0x10000000\n str r1, [r0]\n nop\n nop\nhere: b here\n"
    debugger = board(build(pends, {"pendsv": " movs r5, #5\n bx lr\n"})).debugger()
    control(debugger, HALT | MASKED)
    control(debugger, RUN | MASKED)
    status(debugger)
    control(debugger, HALT | MASKED)
    assert register(debugger, 5) == 0
    control(debugger, RUN)
    status(debugger)
    control(debugger, HALT)
    assert register(debugger, 5) == 5


def test_the_firmware_cannot_attach_a_debugger(board: MakeBoard) -> None:
    body = " ldr r0, =0xE000EDF0\n ldr r1, =0xA05F0003\n str r1, [r0]\n ldr r2, [r0]\n ldr r3, =0x20000000\n"
    running = board(build(body + " str r2, [r3]\n wfi\n"))
    running.run(10_000)
    assert running.read_memory(RAM, 4)[0] == 0


@pytest.fixture
def wire() -> Iterator[Callable[[str], DebugWire]]:
    made: list[VirtualBoard] = []

    def make(name: str) -> DebugWire:
        board = target.load(name)
        made.append(VirtualBoard(board, None))
        assert board.soc.debug_port is not None
        return DebugWire(board.soc.debug_port, made[-1].debugger())

    yield make
    for each in made:
        each.close()


def powered(wire: DebugWire) -> DebugWire:
    wire.write_dp(CTRL_STAT, POWER_UP)
    assert wire.read_dp(CTRL_STAT) == POWER_UP | POWER_UP << 1
    return wire


def test_a_port_without_power_does_not_answer(wire: Callable[[str], DebugWire]) -> None:
    made = wire("nucleo-f429zi")
    assert made.read_dp(0) == 0x2BA0_1477
    with pytest.raises(WireError):
        made.read_ap(CSW)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_transfers_move_the_lanes_of_their_address(wire: Callable[[str], DebugWire], size: int) -> None:
    made = powered(wire("nucleo-f429zi"))
    made.write_ap(CSW, 0x10 | size.bit_length() - 1)
    made.write_ap(TAR, RAM)
    data = bytes(range(1, 13))
    for at in range(0, 12, size):
        made.write_ap(DRW, int.from_bytes(data[at : at + size], "little") << 8 * (at & 3))
    assert made.debugger.read_block(RAM, 12) == data
    made.write_ap(TAR, RAM)
    read = [made.read_ap(DRW) >> 8 * (at & 3) & (1 << 8 * size) - 1 for at in range(0, 12, size)]
    assert b"".join(value.to_bytes(size, "little") for value in read) == data


def test_several_transfers_are_as_many_single_ones(wire: Callable[[str], DebugWire]) -> None:
    made = powered(wire("nucleo-f429zi"))
    made.write_ap(CSW, 0x12)
    words = [i * 0x0101_0101 & 0xFFFF_FFFF for i in range(2100)]
    made.write_ap(TAR, RAM + 0xF00)
    made.write_ap_several(DRW, words)
    # An address is incremented within 4 KB: the last page's words came round.
    made.write_ap(TAR, RAM + 0xF00)
    single = [made.read_ap(DRW) for _ in range(64)]
    made.write_ap(TAR, RAM + 0xF00)
    assert made.read_ap_several(DRW, 64) == single
    assert made.debugger.read(RAM + 0xF00, 4) == words[2048]


def test_a_fault_sticks_until_it_is_cleared(wire: Callable[[str], DebugWire]) -> None:
    made = powered(wire("nucleo-f429zi"))
    made.write_ap(CSW, 0x2)
    made.write_ap(TAR, 0x7000_0000)
    with pytest.raises(WireError, match="0x70000000"):
        made.read_ap(DRW)
    assert made.read_dp(CTRL_STAT) & 1 << 5
    with pytest.raises(WireError):
        made.write_ap(TAR, RAM)
    made.write_dp(ABORT, 1 << 2)
    made.write_ap(TAR, RAM)
    assert made.read_ap(DRW) == 0


def test_a_protected_nrf_shows_its_ctrl_ap_alone_and_erasing_opens_it(wire: Callable[[str], DebugWire]) -> None:
    made = powered(wire("nrf52840dk"))

    def ap(number: int, register: int) -> int:
        made.write_dp(SELECT, number << 24 | register & 0xF0)
        return made.read_ap(register & 0xC)

    def write(register: int, value: int) -> None:
        made.write_dp(SELECT, 1 << 24)
        made.write_ap(register, value)

    assert (ap(0, 0xFC), ap(1, 0xFC), ap(1, 0xC)) == (0x2477_0011, 0x0288_0000, 1)
    made.debugger.board.engine.memory(0)[:4] = bytes(4)
    made.debugger.write_block(RAM, b"secret")
    made.lock()
    assert (ap(0, 0xFC), ap(1, 0xFC), ap(1, 0xC)) == (0, 0x0288_0000, 0)
    made.write_dp(SELECT, 0)
    made.write_ap(CSW, 2)
    made.write_ap(TAR, RAM)
    made.write_ap(DRW, 0x1234)
    assert made.read_ap(DRW) == 0
    write(4, 1)
    assert (ap(1, 8), ap(1, 0xC), ap(0, 0xFC)) == (0, 1, 0x2477_0011)
    assert made.debugger.read_block(0, 4) == b"\xff" * 4 == made.debugger.read_block(APPROTECT, 4)
    assert made.debugger.read_block(RAM, 6) == bytes(6)
    write(0, 1)
    assert made.debugger.board.debug.held and ap(1, 0) == 1
    write(0, 0)
    assert not made.debugger.board.debug.held


def test_a_chip_without_that_lock_refuses_it(wire: Callable[[str], DebugWire]) -> None:
    with pytest.raises(UnsupportedError):
        wire("nucleo-f429zi").lock()


def test_an_access_port_that_is_not_there_reads_as_nothing(board: MakeBoard) -> None:
    facts = DebugPort(0x2BA0_1477, (), "none")
    made = powered(DebugWire(facts, board(build(" wfi\n")).debugger()))
    made.write_dp(SELECT, 7 << 24 | 0xF0)
    assert made.read_ap(0xC) == 0
