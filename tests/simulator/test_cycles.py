"""Cycles of known sequences on ideal memory, against values worked out by hand from Arm's table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.simulator.board import Ended
from edgeq.simulator.cycles import cortex_m4
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import ENABLE_FPU, build

P_IMMEDIATE = cortex_m4.TIMING.refill_immediate
P_INDIRECT = cortex_m4.TIMING.refill_indirect
# r4 points into RAM, which holds its own address everywhere; r5 = r4 + 64; r6 = 7.
SETUP = (
    ENABLE_FPU
    + """
 ldr r4, =0x20000100
 mov r0, r4
 movs r1, #64
1: str r4, [r0], #4
 subs r1, #1
 bne 1b
 adds r5, r4, #64
 movs r6, #7
 nop
 b 2f
 .balign 8
2: nop
"""
)


def cycles(board: MakeBoard, sequence: str) -> int:
    """Cycles that the sequence adds."""
    counted = []
    for text in ("", sequence):
        running = board(build(SETUP + text + "\n nop\n wfi\n"), wait_states=0)
        assert running.run(100_000) is Ended.IDLE
        counted.append(running.cycles)
    return counted[1] - counted[0]


SEQUENCES = {
    "arithmetic": ("adds r0, r1, r2\n add.w r0, r0, r1, lsl #3\n eor r3, r3, r0\n", 3),
    "one load": ("ldr r0, [r4]\n nop\n", 3),
    "loads pipeline: n + 1": ("ldr r0, [r4]\n ldr r1, [r4, #4]\n ldrb r2, [r4, #9]\n ldrsh r3, [r4, #2]\n nop\n", 6),
    "post-indexed loads pipeline": ("ldr r0, [r4], #4\n ldr r1, [r4], #4\n ldr r2, [r4], #4\n nop\n", 5),
    "a load whose address was just loaded": ("ldr r0, [r4]\n ldr r1, [r0]\n nop\n", 5),
    "store": ("str r0, [r4]\n nop\n", 2),
    "store with an index register": ("str r0, [r4, r6]\n nop\n", 3),
    "load then store": ("ldr r0, [r4]\n str r0, [r5]\n nop\n", 4),
    "load after store": ("str r0, [r5]\n ldr r0, [r4]\n nop\n", 4),
    "ldm: 1 + n": ("ldm r4, {r0-r3}\n", 5),
    "stm: 1 + n": ("stm r4, {r0-r2}\n", 4),
    "push and pop: 1 + n each": ("push {r0-r3}\n pop {r0-r3}\n", 10),
    "ldrd, strd": ("ldrd r0, r1, [r4]\n strd r0, r1, [r4, #8]\n", 6),
    "multiplies": ("mul r0, r1, r2\n mla r0, r1, r2, r3\n smull r0, r1, r2, r3\n smlal r0, r1, r2, r3\n", 4),
    "simd": ("smlad r0, r1, r2, r0\n sxtb16 r1, r2, ror #8\n ssat r0, #8, r0\n smmulr r0, r1, r2\n", 4),
    "divide": ("udiv r0, r1, r6\n", cortex_m4.TIMING.divide),
    "float": ("vadd.f32 s0, s1, s2\n vmul.f32 s3, s4, s5\n", 2),
    "float multiply-accumulate": ("vmla.f32 s0, s1, s2\n vfma.f32 s0, s1, s2\n", 6),
    "float divide": ("vdiv.f32 s0, s1, s2\n", 14),
    "float loads": ("vldr s0, [r4]\n vldmia r4, {s0-s3}\n", 7),
    "branch not taken": ("cmp r6, #7\n bne 9f\n nop\n9:\n", 3),
    "branch taken": ("cmp r6, #7\n beq 9f\n nop\n .balign 4\n9:\n", 2 + P_IMMEDIATE),
    "loop of ten": ("movs r0, #10\n .balign 4\n9: subs r0, #1\n bne 9b\n", 21 + 9 * P_IMMEDIATE),
    "call and return": ("bl 8f\n b 9f\n .balign 4\n8: bx lr\n .balign 4\n9:\n", 3 + 2 * P_IMMEDIATE + P_INDIRECT),
    "unaligned word, even": ("ldr r0, [r4, #2]\n nop\n", 4),
    "unaligned word, odd": ("ldr r0, [r4, #1]\n nop\n", 5),
    "unaligned halfword": ("ldrh r0, [r4, #3]\n nop\n", 4),
    "unaligned through a moving pointer": ("adds r0, r4, #1\n ldr r1, [r0, #3]!\n ldr r2, [r0, #2]\n nop\n", 6),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence(board: MakeBoard, name: str) -> None:
    text, expected = SEQUENCES[name]
    # `.balign` may have put a NOP in; it is one cycle where it is executed, and none of these execute one.
    assert cycles(board, text) == expected


def test_instructions_of_an_it_block_are_counted_whether_they_execute_or_not(board: MakeBoard) -> None:
    taken = cycles(board, "cmp r6, #7\n itte eq\n moveq r0, #1\n moveq r1, #2\n movne r2, #3\n")
    skipped = cycles(board, "cmp r6, #8\n itte eq\n moveq r0, #1\n moveq r1, #2\n movne r2, #3\n")
    assert taken == skipped == 5


def test_data_reads_inside_an_it_block_leave_no_trace(board: MakeBoard) -> None:
    """Unicorn's issue 2309: after a memory hook in an IT block the next block skipped instructions."""
    body = """
 movs r7, #0
 movs r6, #100
 adr r4, table
again:
 movs r0, #0
 cmp r0, #0
 itt eq
 ldreq r1, [r4]
 addeq r7, #1
 b middle
middle:
 adds r7, #1
 adds r7, #1
 subs r6, #1
 bne again
 ldr r0, =0x20000000
 str r7, [r0]
 wfi
 .balign 4
table: .word 5
"""
    running = board(build(body))
    # Stopping often makes the emulator look blocks up anew, which is when the trace was seen.
    while running.run(37) is not Ended.IDLE:
        pass
    assert int.from_bytes(running.read_memory(0x2000_0000, 4), "little") == 300


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(("nop", "ldr r0, [r4]", "mul r0, r1, r2", "str r0, [r5]", "ldm r4, {r0-r1}")), max_size=8)
)
def test_a_block_costs_the_same_however_it_is_cut(parts: list[str]) -> None:
    """Pricing with 4-, 8- and 16-byte fetch units shares the same cycles out differently, and adds none."""
    code = build("\n".join([*parts, "nop"])).image[0x1C0:]
    totals = {sum(cortex_m4.price(code[:24], 0x0800_01C0, unit).unit_cycles) for unit in (4, 8, 16)}
    assert len(totals) == 1
