"""What native/core.c and Python share: its public state, its counters, and its lists of reasons."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum


class Stop(IntEnum):
    """Why the core stopped before the block at its program counter; native/core.c has the same list."""

    NONE = 0
    DEADLINE = 1
    REQUEST = 2
    SELF_LOOP = 3
    NO_FPU = 4
    UNALIGNED = 5
    UNDECODED = 6
    PROGRAMMED_WRONG = 7
    SLEEP = 100
    EXCEPTION = 101
    BAD_ACCESS = 102
    UNDEFINED = 103


class Programmed(IntEnum):
    """What became of a write that may go to flash."""

    NO_FLASH = -1
    DONE = 0
    REFUSED = 1  # `state.program_faults` says why
    TRAPPED = 2  # the same, with a bus fault


COUNTERS = (
    "cycles",
    "instructions",
    "blocks",
    "branches_taken",
    "fetch_stalls",
    "data_stalls",
    "instruction_hits",
    "instruction_misses",
    "prefetch_hits",
    "data_hits",
    "data_misses",
    "unaligned_cycles",
    "slow_reads",
)
_SETTINGS = (
    "stop_request",
    "stop_reason",
    "masked_interrupt",
    "fpu_enabled",
    "flash_base",
    "flash_bytes",
    "wait_states",
    "unit_shift",
    "line_shift",
    "instruction_lines",
    "data_lines",
    "instruction_cache_on",
    "data_cache_on",
    "prefetch_on",
    "unaligned_branch_cycles",
    "data_hit_cycles",
    "instruction_miss_cycles",
    "slow_read_cycles",
    "status_register",
    "ways",
    "flash_open",
    "program_width",
    "program_row",
    "program_traps",
    "program_faults",
    "program_address",
    "flash_dead",
    "stuck_address",
    "stuck_bits",
)


class State(ctypes.Structure):
    """`public_state` of native/core.c, field by field."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in (*COUNTERS, "deadline")),
        *((name, ctypes.c_uint32) for name in _SETTINGS),
        ("uc", ctypes.c_void_p),
        ("emulator_stop", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("decode", ctypes.c_void_p),
    )


class Check(ctypes.Structure):
    """`alignment_check` of native/core.c."""

    _fields_ = (("number", ctypes.c_int32), ("extra", ctypes.c_uint16 * 4), ("traps", ctypes.c_uint16))


@dataclass(frozen=True)
class Counters:
    """What native/core.c counts, since the board was made.

    Attributes:
        fetch_stalls, data_stalls: cycles spent waiting for the flash.
        instruction_hits, data_hits: flash units found in the caches; misses were read from flash.
    """

    cycles: int
    instructions: int
    blocks: int
    branches_taken: int
    fetch_stalls: int
    data_stalls: int
    instruction_hits: int
    instruction_misses: int
    prefetch_hits: int
    data_hits: int
    data_misses: int
    unaligned_cycles: int
    slow_reads: int
