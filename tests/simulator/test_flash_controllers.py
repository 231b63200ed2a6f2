"""The flash controllers of the nRF52840 and STM32F429, register by register, as a debugger reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("unicorn")
pytest.importorskip("capstone")

from edgeq import target
from edgeq.simulator.board import VirtualBoard
from edgeq.simulator.bus import UnansweredError
from edgeq.simulator.debugger import Debugger
from edgeq.simulator.faults import Defects

ACR, KEYR, SR, CR = (0x4002_3C00 + offset for offset in (0x00, 0x04, 0x0C, 0x10))
KEYS = (0x4567_0123, 0xCDEF_89AB)
PG, SER, MER, MER1, WORDS, STRT, LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 15, 2 << 8, 1 << 16, 1 << 31
PGAERR, PGPERR, PGSERR = 1 << 5, 1 << 6, 1 << 7
F4, F4_BYTES = 0x0800_0000, 0x20_0000
CONFIG, ERASEPAGE, ERASEALL, ERASEUICR = 0x4001_E504, 0x4001_E508, 0x4001_E50C, 0x4001_E514
UICR, RAM = 0x1000_1000, 0x2000_0000
Make = Callable[..., Debugger]


@pytest.fixture
def chip() -> Iterator[Make]:
    """Makes a board with erased flash, and gives its debugger."""
    made: list[VirtualBoard] = []

    def make(name: str, **options: object) -> Debugger:
        made.append(VirtualBoard(target.load(name), None, **options))  # type: ignore[arg-type]
        return made[-1].debugger()

    yield make
    for board in made:
        board.close()


@pytest.fixture
def f4(chip: Make) -> Debugger:
    return chip("nucleo-f429zi")


@pytest.fixture
def nrf(chip: Make) -> Debugger:
    return chip("nrf52840dk")


def unlock(debugger: Debugger) -> None:
    for key in KEYS:
        debugger.write(KEYR, 4, key)


def programmed(debugger: Debugger, address: int, value: int, control: int = PG | WORDS) -> None:
    debugger.write(CR, 4, control)
    debugger.write(address, 4, value)
    debugger.write(CR, 4, 0)


def test_f4_programs_words_once_it_is_unlocked(f4: Debugger) -> None:
    assert f4.read(CR, 4) & LOCK
    unlock(f4)
    assert not f4.read(CR, 4) & LOCK
    programmed(f4, F4 + 8, 0x1122_3344)
    assert f4.read_block(F4, 16) == b"\xff" * 8 + bytes.fromhex("44332211") + b"\xff" * 4
    assert f4.read(SR, 4) == 0
    assert f4.read_block(8, 4) == bytes.fromhex("44332211")  # where the chip shows its flash once more


def test_f4_locked_takes_neither_control_bits_nor_data(f4: Debugger) -> None:
    f4.write(CR, 4, PG | WORDS)
    assert f4.read(CR, 4) == LOCK
    f4.write(F4, 4, 0)
    assert f4.read_block(F4, 4) == b"\xff" * 4
    assert f4.read(SR, 4) == PGSERR


@pytest.mark.parametrize("wrong", [(KEYS[1], KEYS[0]), (KEYS[0], KEYS[0]), (KEYS[0], 0)])
def test_f4_a_wrong_key_locks_until_the_next_reset(f4: Debugger, wrong: tuple[int, int]) -> None:
    for key in (*wrong, *KEYS):
        f4.write(KEYR, 4, key)
    assert f4.read(CR, 4) & LOCK
    f4.board.reset()
    unlock(f4)
    assert not f4.read(CR, 4) & LOCK


def test_f4_locks_again_when_it_is_told_to(f4: Debugger) -> None:
    unlock(f4)
    f4.write(CR, 4, LOCK)
    programmed(f4, F4, 0)
    assert f4.read_block(F4, 4) == b"\xff" * 4


def test_f4_programming_only_clears_bits(f4: Debugger) -> None:
    unlock(f4)
    programmed(f4, F4, 0xFFFF_0F0F)
    programmed(f4, F4, 0x00FF_FFF0)
    assert f4.read(F4, 4) == 0xFFFF_0F0F & 0x00FF_FFF0


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_f4_the_width_of_a_write_is_what_psize_says(f4: Debugger, size: int, width: int) -> None:
    unlock(f4)
    f4.write(CR, 4, PG | (width.bit_length() - 1) << 8)
    f4.write(F4 + 4, size, 0)
    right = size == width
    assert f4.read_block(F4 + 4, size) == (b"\0" if right else b"\xff") * size
    assert f4.read(SR, 4) == (0 if right else PGPERR)
    f4.write(SR, 4, PGPERR)
    assert f4.read(SR, 4) == 0


def test_f4_a_write_across_the_end_of_a_row_is_refused(f4: Debugger) -> None:
    unlock(f4)
    f4.write(CR, 4, PG | WORDS)
    f4.write_block(F4 + 14, bytes(4))
    assert f4.read(SR, 4) == PGAERR | PGPERR
    assert f4.read_block(F4, 32) == b"\xff" * 32


def test_f4_erases_each_sector_and_nothing_else(f4: Debugger) -> None:
    sizes = [16 << 10] * 4 + [64 << 10] + [128 << 10] * 7
    unlock(f4)
    ends, at = [], F4
    for size in sizes * 2:
        ends += [at, at + size - 4]
        at += size
    assert at == F4 + F4_BYTES
    for address in ends:
        programmed(f4, address, 0)
    for number in range(24):
        f4.write(CR, 4, SER | STRT | (number if number < 12 else number + 4) << 3)
        words = [f4.read(address, 4) for address in ends]
        assert words == [0xFFFF_FFFF] * (2 * number + 2) + [0] * (46 - 2 * number)
    f4.write(CR, 4, SER | STRT | 12 << 3)  # there is no such sector
    assert not f4.read(CR, 4) & STRT


@pytest.mark.parametrize("bits, left", [(MER, [1]), (MER1, [0]), (MER | MER1, [])])
def test_f4_mass_erase_is_of_a_bank_or_of_both(f4: Debugger, bits: int, left: list[int]) -> None:
    unlock(f4)
    for bank in (0, 1):
        programmed(f4, F4 + bank * F4_BYTES // 2, 0)
    f4.write(CR, 4, bits | STRT)
    assert [bank for bank in (0, 1) if f4.read(F4 + bank * F4_BYTES // 2, 4) == 0] == left


def test_f4_behind_the_flash_there_is_nothing(f4: Debugger) -> None:
    unlock(f4)
    f4.write(CR, 4, PG | WORDS)
    with pytest.raises(UnansweredError):
        f4.write(F4 + F4_BYTES, 4, 0)
    with pytest.raises(UnansweredError):
        f4.write_block(F4 + F4_BYTES - 4, bytes(8))


def test_nrf_programs_words_where_writing_is_enabled(nrf: Debugger) -> None:
    nrf.write(0x400, 4, 0)
    assert nrf.read(0x400, 4) == 0xFFFF_FFFF
    nrf.write(CONFIG, 4, 1)
    nrf.write(0x400, 4, 0xF0F0_1234)
    nrf.write(0x400, 4, 0x0FF0_FFFF)
    nrf.write(UICR + 0x80, 4, 0x55)
    nrf.write(CONFIG, 4, 0)
    nrf.write(0x404, 4, 0)
    assert nrf.read_block(0x400, 8) == (0xF0F0_1234 & 0x0FF0_FFFF).to_bytes(4, "little") + b"\xff" * 4
    assert nrf.read(UICR + 0x80, 4) == 0x55


@pytest.mark.parametrize("address, size", [(0x400, 1), (0x402, 2), (0x401, 4), (0x402, 4)])
def test_nrf_takes_whole_aligned_words_only(nrf: Debugger, address: int, size: int) -> None:
    nrf.write(CONFIG, 4, 1)
    with pytest.raises(UnansweredError):
        nrf.write_block(address, bytes(size))
    assert nrf.read_block(0x400, 8) == b"\xff" * 8


def test_nrf_erases_only_where_erasing_is_enabled(nrf: Debugger) -> None:
    places = (0x0FFC, 0x1000, 0x1FFC, 0x2000, 0xF_FFFC, UICR + 0x80)
    nrf.write(CONFIG, 4, 1)
    for address in places:
        nrf.write(address, 4, 0)

    def erased() -> list[int]:
        return [address for address in places if nrf.read(address, 4)]

    for register, value in ((ERASEPAGE, 0x1000), (ERASEALL, 1), (ERASEUICR, 1)):
        nrf.write(register, 4, value)
    assert erased() == []
    nrf.write(CONFIG, 4, 2)
    nrf.write(0x3000, 4, 0)
    assert nrf.read(0x3000, 4) == 0xFFFF_FFFF
    nrf.write(ERASEPAGE, 4, 0x1000)
    assert erased() == [0x1000, 0x1FFC]
    nrf.write(ERASEPAGE, 4, 0x10_0000)
    assert erased() == [0x1000, 0x1FFC]
    nrf.write(ERASEUICR, 4, 1)
    assert erased() == [0x1000, 0x1FFC, UICR + 0x80]
    nrf.write(ERASEALL, 4, 1)
    assert erased() == list(places)


def test_nrf_factory_words_stay(nrf: Debugger) -> None:
    nrf.write(CONFIG, 4, 1)
    with pytest.raises(UnansweredError):
        nrf.write(0x1000_0100, 4, 0)
    assert nrf.read(0x1000_0100, 4) == 0x5_2840


def run(debugger: Debugger, code: str, *registers: int) -> int:
    """Run Thumb code (hex) in RAM that ends in a breakpoint, with r0, r1, ...; the address where it has halted."""
    dhcsr, dcrsr, dcrdr, demcr = 0xE000_EDF0, 0xE000_EDF4, 0xE000_EDF8, 0xE000_EDFC
    debugger.write(dhcsr, 4, 0xA05F_0003)
    debugger.write(demcr, 4, 1 << 10)  # hard faults halt
    debugger.write_block(RAM, bytes.fromhex(code))
    for number, value in (*enumerate(registers), (13, RAM + 0x1000), (15, RAM | 1)):
        debugger.write(dcrdr, 4, value)
        debugger.write(dcrsr, 4, number | 1 << 16)
    debugger.write(dhcsr, 4, 0xA05F_0001)
    assert debugger.read(dhcsr, 4) & 1 << 17
    debugger.write(dcrsr, 4, 15)
    return debugger.read(dcrdr, 4)


def test_f4_what_the_core_writes_goes_by_the_same_rules(f4: Debugger) -> None:
    unlock(f4)
    f4.write(CR, 4, PG | WORDS)
    # str r1, [r0]; strb r1, [r0, #4]; str r1, [r0, #14]; ldr r2, [r0]; str r2, [r3]; bkpt
    assert run(f4, "0160 0171 c0f80e10 0268 1a60 00be", F4, 0x1234_5678, 0, RAM + 0x800) == RAM + 12
    assert f4.read_block(F4, 20) == bytes.fromhex("78563412") + b"\xff" * 16
    assert f4.read(RAM + 0x800, 4) == 0x1234_5678
    assert f4.read(SR, 4) == PGPERR | PGAERR


def test_f4_the_core_cannot_write_to_flash_that_is_not_being_programmed(f4: Debugger) -> None:
    assert run(f4, "0160 00be", F4, 0) != RAM + 2
    assert f4.read_block(F4, 4) == b"\xff" * 4


@pytest.mark.parametrize("code", ["0170", "0180", "c0f80210"])  # strb r1, [r0]; strh r1, [r0]; str r1, [r0, #2]
def test_nrf_what_the_core_writes_must_be_a_whole_aligned_word(nrf: Debugger, code: str) -> None:
    nrf.write(CONFIG, 4, 1)
    end = RAM + 2 + len(code) // 2
    assert run(nrf, "0160" + code + "00be", 0x400, 0) not in range(RAM, end + 1)  # in the hard fault's handler
    assert nrf.read_block(0x400, 8) == bytes(4) + b"\xff" * 4
    assert nrf.read(0xE000_ED28, 4) & 1 << 10  # IMPRECISERR


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1)), max_size=12))
def test_f4_any_writes_leave_what_the_rules_say(f4: Debugger, writes: list[tuple[int, int, int]]) -> None:
    unlock(f4)
    f4.write(CR, 4, SER | STRT)
    cells, flags = bytearray(b"\xff" * 48), 0
    f4.write(SR, 4, 0xF0)
    f4.write(CR, 4, PG | 1 << 8)  # half-words
    for offset, size, value in writes:
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        f4.write_block(F4 + offset, data)
        flags |= PGPERR if size != 2 or offset % 2 else 0
        flags |= PGAERR if offset % 16 + size > 16 else 0
        if size == 2 and offset % 2 == 0:
            cells[offset] &= data[0]
            cells[offset + 1] &= data[1]
    assert f4.read_block(F4, 48) == cells
    assert f4.read(SR, 4) == flags
    f4.write(CR, 4, LOCK)


def test_a_dead_controller_takes_everything_and_does_nothing(chip: Make) -> None:
    dead = chip("nrf52840dk", defects=Defects(flash_dead=True))
    dead.write(CONFIG, 4, 1)
    dead.write(0x400, 4, 0)
    assert dead.read(0x400, 4) == 0xFFFF_FFFF
    # ... and erases nothing either.
    dead.board.engine.memory(0)[0x400:0x404] = bytes(4)
    dead.write(CONFIG, 4, 2)
    dead.write(ERASEALL, 4, 1)
    assert dead.read(0x400, 4) == 0


def test_stuck_cells_keep_their_bits(chip: Make) -> None:
    worn = chip("nucleo-f429zi", defects=Defects(stuck_address=F4 + 5, stuck_bits=0x81))
    unlock(worn)
    programmed(worn, F4 + 4, 0)
    assert worn.read(F4 + 4, 4) == 0x8100
