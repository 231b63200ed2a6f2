"""Wait states, caches and prefetch of the flash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeq import target
from edgeq.simulator.board import Ended, VirtualBoard
from edgeq.simulator.faults import BoardFault
from tests.simulator.conftest import MakeBoard
from tests.simulator.images import build

TIMING = target.load("nucleo-l4r5zi").soc.flash_timing
assert TIMING is not None
UNIT = TIMING.read_bytes
# Caches and prefetch as the second argument sets them in the flash's control register; five wait states.
ACR = " ldr r0, =0x40022000\n ldr r1, =0x{acr:X}\n str r1, [r0]\n dsb\n isb\n"
LOOP = """
 movs r6, #{passes}
 b 1f
 .balign 32
1:
{body}
 subs r6, #1
 bne 1b
 wfi
"""


def run(board: MakeBoard, acr: int, passes: int, body: str, **options: object) -> VirtualBoard:
    running = board(build(ACR.format(acr=acr) + LOOP.format(passes=passes, body=body)), **options)
    assert running.run(1_000_000) is Ended.IDLE
    return running


def marginal(board: MakeBoard, acr: int, body: str, **options: object) -> int:
    """Cycles of one more pass, once the caches are warm."""
    return run(board, acr, 9, body, **options).cycles - run(board, acr, 8, body, **options).cycles


NOPS = " nop.w\n" * 32  # 128 bytes: four cache lines


def test_code_that_fits_the_cache_runs_like_on_ideal_memory_from_the_second_pass_on(board: MakeBoard) -> None:
    assert marginal(board, 0x605, NOPS) == marginal(board, 0x605, NOPS, wait_states=0)


def test_without_caches_every_fetch_unit_costs_the_wait_states(board: MakeBoard) -> None:
    ideal = marginal(board, 0x005, NOPS, wait_states=0)
    units = -(-(128 + 4) // UNIT)  # and the two instructions that close the loop
    assert marginal(board, 0x005, NOPS) == ideal + 5 * units


def test_prefetch_hides_part_of_the_wait_states_of_sequential_code(board: MakeBoard) -> None:
    without, with_prefetch = marginal(board, 0x005, NOPS), marginal(board, 0x105, NOPS)
    ideal = marginal(board, 0x005, NOPS, wait_states=0)
    assert ideal < with_prefetch < without


def test_a_loop_larger_than_the_cache_misses_in_every_pass(board: MakeBoard) -> None:
    large = " nop.w\n" * 300  # 1200 bytes; the cache holds 1024
    counters = run(board, 0x605, 5, large).counters()
    assert counters.instruction_misses > 4 * 1200 // UNIT


def test_constants_cost_the_wait_states_once_per_flash_word_while_they_stay_cached(board: MakeBoard) -> None:
    body = " ldr r4, =0x08001000\n ldr r0, [r4]\n ldr r1, [r4, #4]\n ldr r2, [r4, #8]\n"
    first, second = run(board, 0x605, 1, body).counters(), run(board, 0x605, 9, body).counters()
    assert first.data_misses == second.data_misses
    for counters in (first, second):
        assert counters.data_stalls == 5 * counters.data_misses + TIMING.data_hit_cycles * counters.data_hits


def test_without_data_cache_a_constant_costs_every_time(board: MakeBoard) -> None:
    body = " ldr r4, =0x08001000\n ldr r0, [r4]\n ldr r1, [r4, #64]\n"
    reads = 3  # the literal is one too
    assert marginal(board, 0x205, body) == marginal(board, 0x605, body) + reads * (5 - TIMING.data_hit_cycles)


def test_a_miss_that_fills_the_instruction_cache_may_take_longer(board: MakeBoard, nucleo: target.Target) -> None:
    """With the cache on only, and never a hit."""
    slower = replace(nucleo, soc=replace(nucleo.soc, flash_timing=replace(TIMING, instruction_miss_cycles=3)))
    large = " nop.w\n" * 300
    for acr in (0x605, 0x005):
        plain, longer = (run(board, acr, 5, large, of=of) for of in (nucleo, slower))
        misses = plain.counters().instruction_misses
        assert misses and misses == longer.counters().instruction_misses
        assert longer.cycles - plain.cycles == (3 * misses if acr == 0x605 else 0)


def test_one_cache_fills_its_lines_piece_by_piece_and_forgets_the_line_used_longest_ago(
    board: MakeBoard, nucleo: target.Target
) -> None:
    """As the RP2040's: two ways, lines of two words, each read when it is needed."""
    timing = replace(TIMING, read_bytes=4, cache_line_bytes=8, instruction_cache_lines=2048, data_cache_lines=0, ways=2)
    one = replace(nucleo, soc=replace(nucleo.soc, flash_timing=timing))
    # Three lines of one set, in which no code lies.
    set_up = "".join(
        f" movw r{n}, #0x{a & 0xFFFF:X}\n movt r{n}, #0x800\n" for n, a in ((4, 0x2800), (5, 0x4800), (7, 0x6800))
    )
    reads = ["[r4]", "[r4, #4]", "[r4]", "[r4, #4]", "[r5]", "[r4]", "[r7]", "[r4, #4]", "[r5]"]
    missing = [True, True, False, False, True, False, True, False, True]

    def misses(count: int) -> tuple[int, int]:
        body = set_up + "".join(f" ldr r0, {read}\n" for read in reads[:count])
        counters = run(board, 0x605, 1, body, of=one).counters()
        return counters.data_misses, counters.data_stalls

    before, stalls = misses(0)
    for count in range(1, len(reads) + 1):
        now, waited = misses(count)
        expected = sum(missing[:count])
        assert (now - before, waited - stalls) == (expected, 5 * expected), count


def test_too_few_wait_states_for_the_clock_are_a_fault(board: MakeBoard) -> None:
    # MSI at 48 MHz (range 11) with the flash at its reset value of 0 wait states.
    body = " ldr r0, =0x40021000\n movs r1, #0xB9\n str r1, [r0]\n wfi\n"
    with pytest.raises(BoardFault, match="0 wait states but needs 2 at 48 MHz"):
        board(build(body)).run(10_000)


def test_reads_from_the_far_part_of_the_ram_take_longer(board: MakeBoard, nucleo: target.Target) -> None:
    slow = nucleo.soc.slow_reads
    assert slow is not None
    body = " ldr r4, =0x{:X}\n ldr r0, [r4]\n ldr r1, [r4, #4]\n"
    near, far = (marginal(board, 0x605, body.format(base)) for base in (slow.base - 64, slow.base))
    assert far == near + 2 * slow.extra_cycles
