"""Interrupts, their nesting and priorities, SysTick, sleep, the floating-point context."""

from __future__ import annotations

from edgeq.simulator.board import Ended, VirtualBoard
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import ENABLE_FPU, build

RAM = 0x2000_0000
# Appends the byte in r0 to the trace at 0x2000_0000 (its length at 0x2000_0100); changes r1 and r2.
TRACE = " ldr r1, =0x20000100\n ldr r2, [r1]\n adds r2, #1\n str r2, [r1]\n ldr r1, =0x1FFFFFFF\n strb r0, [r1, r2]\n"


def trace(running: VirtualBoard) -> str:
    length = running.read_memory(RAM + 0x100, 1)[0]
    return running.read_memory(RAM, length).decode()


def note(letter: str) -> str:
    return f" movs r0, #{ord(letter)}\n{TRACE}"


def priority(line: int, value: int) -> str:
    return f" ldr r0, =0x{0xE000E400 + line:X}\n movs r1, #{value}\n strb r1, [r0]\n"


ENABLE = " ldr r0, =0xE000E100\n movs r1, #7\n str r1, [r0]\n"


def pend(line: int) -> str:
    return f" ldr r0, =0xE000E200\n movs r1, #{1 << line}\n str r1, [r0]\n dsb\n isb\n"


def handler(letter: str, inside: str = "") -> str:
    return " push {r0-r3, lr}\n" + note(letter) + inside + note(letter.lower()) + " pop {r0-r3, pc}\n"


def test_a_more_urgent_interrupt_preempts_and_an_equal_one_waits(board: MakeBoard) -> None:
    handlers = {0: handler("A", pend(1) + pend(2)), 1: handler("B"), 2: handler("C")}
    body = (
        priority(0, 0x80) + priority(1, 0x40) + priority(2, 0x80) + ENABLE + note("m") + pend(0) + note("n") + " wfi\n"
    )
    running = board(build(body, handlers))
    assert running.run(100_000) is Ended.IDLE
    assert trace(running) == "mABbaCcn"


def test_primask_and_basepri_hold_interrupts_back(board: MakeBoard) -> None:
    body = (
        priority(0, 0x40) + ENABLE + " cpsid i\n" + pend(0) + note("1") + " cpsie i\n" + note("2")
        + " movs r1, #0x40\n msr basepri, r1\n" + pend(0) + note("3") + " movs r1, #0\n msr basepri, r1\n" + note("4")
        + " wfi\n"
    )  # fmt: skip
    running = board(build(body, {0: handler("A")}))
    assert running.run(100_000) is Ended.IDLE
    assert trace(running) == "1Aa23Aa4"


def test_wfi_ends_with_a_masked_interrupt_pending(board: MakeBoard) -> None:
    body = ENABLE + " cpsid i\n" + pend(0) + " wfi\n" + note("w") + " cpsie i\n" + note("e") + " wfi\n"
    running = board(build(body, {0: handler("A")}))
    assert running.run(100_000) is Ended.IDLE
    assert trace(running) == "wAae"


def test_registers_and_flags_survive_an_interrupt(board: MakeBoard) -> None:
    registers = "".join(f" mov r{i}, #{i + 16}\n" for i in range(13) if i not in (0, 1))
    wreck = "".join(f" mov r{i}, #255\n" for i in (0, 1, 2, 3, 12)) + " cmp r0, #255\n bx lr\n"
    check = "".join(f" cmp r{i}, #{i + 16}\n bne bad\n" for i in range(2, 13))
    body = (
        ENABLE + registers + " ldr r0, =0xE000E200\n movs r1, #1\n cmp r1, #2\n str r1, [r0]\n dsb\n isb\n"
        + " bge bad\n" + check + note("k") + " wfi\nbad:\n" + note("x") + " wfi\n"
    )  # fmt: skip
    running = board(build(body, {0: wreck}))
    assert running.run(100_000) is Ended.IDLE
    assert trace(running) == "k"


def test_the_floating_point_context_survives_an_interrupt_that_uses_it(board: MakeBoard) -> None:
    wreck = " vmov.f32 s0, #2.0\n vmov.f32 s15, #3.0\n bx lr\n"
    body = (
        ENABLE_FPU + ENABLE + " vmov.f32 s0, #1.0\n vmov.f32 s15, #1.5\n" + pend(0)
        + " ldr r0, =0x20000000\n vstr s0, [r0]\n vstr s15, [r0, #4]\n"
        + " mrs r1, control\n and r1, #7\n str r1, [r0, #8]\n wfi\n"
    )  # fmt: skip
    running = board(build(body, {0: wreck}))
    assert running.run(100_000) is Ended.IDLE
    import struct

    assert struct.unpack("<ffI", running.read_memory(RAM, 12)) == (1.0, 1.5, 4)


def test_supervisor_call_and_pendsv(board: MakeBoard) -> None:
    raise_pendsv = " ldr r0, =0xE000ED04\n ldr r1, =0x10000000\n str r1, [r0]\n dsb\n"
    body = note("m") + " svc #5\n" + note("n") + raise_pendsv + " isb\n" + note("o") + " wfi\n"
    running = board(build(body, {"svc": handler("S"), "pendsv": handler("P")}))
    assert running.run(100_000) is Ended.IDLE
    assert trace(running) == "mSsnPpo"


def test_systick_interrupts_every_period_also_while_asleep(board: MakeBoard) -> None:
    tick = " ldr r0, =0x20000000\n ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n bx lr\n"
    body = (
        " ldr r0, =0xE000E010\n ldr r1, =999\n str r1, [r0, #4]\n str r1, [r0, #8]\n movs r1, #7\n str r1, [r0]\n"
        "1: wfi\n b 1b\n"
    )
    running = board(build(body, {"systick": tick}))
    assert running.run(100_500) is Ended.LIMIT
    assert running.read_memory(RAM, 1)[0] == 100


def test_the_cycle_counter_never_goes_back_and_needs_its_enable_bits(board: MakeBoard) -> None:
    body = (
        " ldr r0, =0xE0001000\n ldr r2, =0x20000000\n ldr r1, [r0, #4]\n str r1, [r2]\n"
        " ldr r3, =0xE000EDFC\n ldr r4, =0x01000000\n str r4, [r3]\n ldr r4, =0x40000001\n str r4, [r0]\n"
        " ldr r1, [r0, #4]\n str r1, [r2, #4]\n"
        " movs r5, #100\n1: ldr r6, [r0, #4]\n cmp r6, r1\n blt 2f\n mov r1, r6\n subs r5, #1\n bne 1b\n"
        " str r1, [r2, #8]\n wfi\n2: movs r1, #0\n str r1, [r2, #8]\n wfi\n"
    )
    running = board(build(body))
    assert running.run(100_000) is Ended.IDLE
    first, started, last = (int.from_bytes(running.read_memory(RAM + i, 4), "little") for i in (0, 4, 8))
    assert first == 0
    assert started < last < running.cycles


def test_a_system_reset_starts_over_and_keeps_ram(board: MakeBoard) -> None:
    body = (
        " ldr r0, =0x20000000\n ldr r1, [r0]\n adds r1, #1\n str r1, [r0]\n cmp r1, #3\n beq 1f\n"
        " ldr r0, =0xE000ED0C\n ldr r1, =0x05FA0004\n str r1, [r0]\n dsb\n2: b 2b\n1: wfi\n"
    )
    running = board(build(body))
    assert running.run(100_000) is Ended.IDLE
    assert running.read_memory(RAM, 1)[0] == 3


def test_exception_entry_costs_what_the_manual_says(board: MakeBoard) -> None:
    """12 cycles in, 12 out on ideal memory, and the handler's own branch and return."""
    quiet = board(build(ENABLE + pend(3) + " wfi\n"), wait_states=0)
    interrupted = board(build(ENABLE + pend(0) + " wfi\n", {0: " nop\n bx lr\n"}), wait_states=0)
    assert quiet.run(10_000) is interrupted.run(10_000) is Ended.IDLE
    assert interrupted.cycles - quiet.cycles == 12 + 2 + 12


def test_a_loop_under_a_masked_interrupt_is_idle_and_not_a_hang(board: MakeBoard) -> None:
    body = """
 movs r0, #0x80
 msr basepri, r0
 ldr r0, =0xE000ED04
 ldr r1, =0x10000000
 str r1, [r0]
here: b here
"""
    running = board(build(" ldr r0, =0xE000ED20\n ldr r1, =0x00F00000\n str r1, [r0]\n" + body))
    assert running.run(100_000) is Ended.IDLE
