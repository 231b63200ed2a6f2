"""The emulated core: Unicorn's memory and registers, with native/core.c counting beside it.

The only file that knows Unicorn. Its hooks are added through Unicorn's own C function, because the Python binding
would put a Python call around each of them.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from capstone import arm as capstone_arm
from unicorn import Uc, UcError, arm_const, unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

from edgeq.errors import DeviceError
from edgeq.simulator.cycles.block import CycleModel, PricedBlock
from edgeq.simulator.native.build import native_library
from edgeq.simulator.native.state import COUNTERS, Check, Counters, Programmed, State, Stop
from edgeq.simulator.peripherals.device import Programming
from edgeq.target import FlashTiming, SlowReads

NEVER = (1 << 63) - 1
_PAGE = 4096


@dataclass(frozen=True)
class BadAccess:
    """A memory access that nothing answers."""

    kind: Literal["read", "write", "fetch"]
    address: int
    size: int
    pc: int


_REGISTERS = {getattr(capstone_arm, f"ARM_REG_R{i}"): getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(15)}
_DECODE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_uint32)


def pages(size: int) -> int:
    """Bytes that memory of this size takes in the emulator: whole pages."""
    return -(-size // _PAGE) * _PAGE


class Registers:
    """Several 32-bit registers read or written by one call: the binding's own way costs a microsecond for each."""

    def __init__(self, uc: Any, numbers: Sequence[int]) -> None:
        count = len(numbers)
        self._uch, self._count = uc._uch, count
        self._numbers = (ctypes.c_int32 * count)(*numbers)
        self._values = (ctypes.c_uint32 * count)()
        start, width = ctypes.addressof(self._values), ctypes.sizeof(ctypes.c_uint32)
        self._pointers = (ctypes.c_void_p * count)(*(start + i * width for i in range(count)))

    def read(self) -> list[int]:
        """Their values, in order."""
        uclib.uc_reg_read_batch(self._uch, self._numbers, self._pointers, self._count)
        return list(self._values)

    def write(self, values: Sequence[int]) -> None:
        """Set all of them."""
        self._values[:] = list(values)
        uclib.uc_reg_write_batch(self._uch, self._numbers, self._pointers, self._count)


class Engine:
    """Core, memories and counters. Devices are attached with `attach`; `go` runs until something stops it."""

    def __init__(
        self,
        model: CycleModel,
        flash: tuple[int, int],
        timing: FlashTiming | None,
        slow_reads: SlowReads | None = None,
        cpu: str = "cortex-m4",
        cache: Path | None = None,
    ) -> None:
        self.model = model
        self.uc = Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB | unicorn_const.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(getattr(arm_const, "UC_CPU_ARM_" + cpu.upper().replace("-", "_")))
        self.bad_access: BadAccess | None = None
        self.exception_number = 0
        self.blocks: dict[int, PricedBlock] = {}
        self._memories: dict[int, mmap.mmap] = {}
        self._cells: list[range] = []  # where flash is
        self._runs_from_flash = False  # since code was forgotten last
        self._shown: tuple[int, int] | None = None  # of memory shown once more: how far below, and its end there
        self._error: BaseException | None = None
        self._keep: list[Any] = []  # what C points to must not be collected
        self._library = ctypes.CDLL(str(native_library(cache)))
        self._unit = timing.read_bytes if timing else 8
        self._core = self._make_core(flash, timing)
        self.state = State.from_address(self._core)
        self._add_hooks(slow_reads)

    def _make_core(self, flash: tuple[int, int], timing: FlashTiming | None) -> int:
        decode = _DECODE(self._decode)
        self._keep.append(decode)
        line = timing.cache_line_bytes if timing else self._unit
        setup = State(
            deadline=NEVER,
            flash_base=flash[0],
            flash_bytes=flash[1],
            unit_shift=self._unit.bit_length() - 1,
            line_shift=max(line, self._unit).bit_length() - 1,
            instruction_lines=timing.instruction_cache_lines if timing else 0,
            data_lines=timing.data_cache_lines if timing else 0,
            data_hit_cycles=timing.data_hit_cycles if timing else 0,
            instruction_miss_cycles=timing.instruction_miss_cycles if timing else 0,
            ways=timing.ways if timing else 0,
            unaligned_branch_cycles=self.model.unaligned_branch_cycles,
            uc=self.uc._uch.value,
            emulator_stop=ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value,
            write_register=ctypes.cast(uclib.uc_reg_write, ctypes.c_void_p).value,
            read_register=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            status_register=arm_const.UC_ARM_REG_XPSR,
            decode=ctypes.cast(decode, ctypes.c_void_p).value,
        )
        pointer, size = ctypes.c_void_p, ctypes.c_uint32
        self._library.edgeq_new.restype = pointer
        self._library.edgeq_new.argtypes = (ctypes.POINTER(State),)
        for name in ("edgeq_free", "edgeq_empty_caches", "edgeq_break_sequence", "edgeq_forget_blocks", "edgeq_settle"):
            getattr(self._library, name).argtypes = (pointer,)
            getattr(self._library, name).restype = None
        self._library.edgeq_add_block.argtypes = (
            pointer,
            *(size,) * 6,
            ctypes.POINTER(ctypes.c_uint16),
            size,
            ctypes.POINTER(Check),
        )
        self._library.edgeq_add_cells.argtypes = (pointer, size, size, pointer)
        self._library.edgeq_program.argtypes = (pointer, size, size, size)
        core = self._library.edgeq_new(ctypes.byref(setup))
        if not core:
            raise DeviceError("the virtual board's counters could not be made", where="flash_timing")
        return int(core)

    def _add_hooks(self, slow_reads: SlowReads | None) -> None:
        self._hook(unicorn_const.UC_HOOK_BLOCK, self._library.edgeq_on_block, 1, 0)  # begin > end: everywhere
        # Unicorn works out the exact PC before it calls a memory hook, which costs more than the access: so no hook
        # on memory that has no timing of its own.
        base, size = self.state.flash_base, self.state.flash_bytes
        self._hook(unicorn_const.UC_HOOK_MEM_READ, self._library.edgeq_on_read, base, base + size - 1)
        if slow_reads is not None:
            self.state.slow_read_cycles = slow_reads.extra_cycles
            base, size = slow_reads.base, slow_reads.size_bytes
            self._hook(unicorn_const.UC_HOOK_MEM_READ, self._library.edgeq_on_read, base, base + size - 1)
        self.uc.hook_add(unicorn_const.UC_HOOK_INTR, self._on_exception)
        self.uc.hook_add(unicorn_const.UC_HOOK_MEM_UNMAPPED | unicorn_const.UC_HOOK_MEM_PROT, self._on_bad_access)

    def _hook(self, kind: int, function: Any, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self.uc._uch,
            ctypes.byref(handle),
            kind,
            ctypes.cast(function, ctypes.c_void_p),
            self._core,
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        )
        if status:
            raise DeviceError(f"Unicorn refused a hook (error {status})", where="simulator")

    def close(self) -> None:
        """Give the memory back; the engine can't be used afterwards."""
        if self._core:
            core, self._core = self._core, 0
            del self.state, self.uc  # the emulator goes before what its hooks point to
            self._library.edgeq_free(core)

    # Memory

    def map_memory(
        self, base: int, size: int, *, writable: bool, like: int | None = None, file: Path | None = None
    ) -> None:
        """Add memory.

        Args:
            like: show the memory at that base once more here.
            file: its bytes are that file's, of this size, as long as the engine lives.
        """
        room = pages(size)
        if file is not None:
            with file.open("r+b") as stream:
                self._memories[base] = mmap.mmap(stream.fileno(), room)
        elif like is None:
            self._memories[base] = mmap.mmap(-1, room)
        if like is not None:
            self._cells.append(range(base, base + size))
            self._shown = like - base, base + size
        host = self._memories[base if like is None else like]
        pointer = ctypes.addressof(ctypes.c_char.from_buffer(host))
        permissions = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC
        permissions |= unicorn_const.UC_PROT_WRITE if writable else 0
        self.uc.mem_map_ptr(base, room, permissions, pointer)

    def add_flash(self, base: int, size: int, file: Path | None = None) -> None:
        """Add memory whose bits are set by `erase` and cleared by programming, and by nothing else.

        Args:
            file: holds what it holds, before and after; erased otherwise.
        """
        self.map_memory(base, size, writable=False, file=file)
        self._cells.append(range(base, base + size))
        host = self._memories[base]
        if file is None:
            host[:] = b"\xff" * len(host)
        self._library.edgeq_add_cells(self._core, base, size, ctypes.addressof(ctypes.c_char.from_buffer(host)))
        self._hook(unicorn_const.UC_HOOK_MEM_WRITE, self._library.edgeq_on_program, base, base + size - 1)

    def program(self, address: int, size: int, value: int) -> Programmed:
        """Write to flash from outside the core, up to 4 bytes at once, as its controller is set now."""
        if self._shown is not None and address < self._shown[1]:
            address += self._shown[0]
        return Programmed(self._library.edgeq_program(self._core, address, size, value))

    def open_flash(self, bases: Sequence[int], rules: Programming | None) -> None:
        """Let what is written to these flash memories get there, by these rules, or not."""
        writable, before = rules is not None, bool(self.state.flash_open)
        if rules is not None:
            self.state.program_width, self.state.program_row = rules.width_bytes, rules.row_bytes
        self.state.program_traps = rules is not None and rules.traps
        if writable == before:
            return
        permissions = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC
        permissions |= unicorn_const.UC_PROT_WRITE if writable else 0
        self.state.flash_open = writable
        for base in bases:
            self.uc.mem_protect(base, len(self._memories[base]), permissions)

    def memory(self, base: int) -> mmap.mmap:
        """The host's bytes behind the memory mapped at `base`."""
        return self._memories[base]

    def attach(
        self,
        base: int,
        size: int,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
    ) -> None:
        """Route a range of addresses: `read(address, size)` and `write(address, size, value)`.

        What they raise stops the core and comes out of `go`.
        """

        def on_read(uc: Any, offset: int, count: int, user: Any) -> int:
            try:
                return read(base + offset, count)
            except BaseException as failed:
                self._fail(failed)
                return 0

        def on_write(uc: Any, offset: int, count: int, value: int, user: Any) -> None:
            try:
                write(base + offset, count, value)
            except BaseException as failed:
                self._fail(failed)

        self.uc.mmio_map(base, size, on_read, None, on_write, None)

    def code_changed(self) -> None:
        """Forget what is known of the code (after programming or reset)."""
        self.blocks.clear()
        self._runs_from_flash = False
        self._library.edgeq_forget_blocks(self._core)
        self.uc.ctl_flush_tb()

    def flash_changed(self) -> None:
        """The same for code in flash: nothing is forgotten where what programs it runs in RAM."""
        if self._runs_from_flash:
            self.code_changed()

    def empty_caches(self) -> None:
        """Flash caches and prefetch buffer as after reset."""
        self._library.edgeq_empty_caches(self._core)

    def break_sequence(self) -> None:
        """The next block is reached without a branch (exception entry and return)."""
        self._library.edgeq_break_sequence(self._core)

    # Running

    def go(self, pc: int, count: int = 0) -> Stop:
        """Run from `pc` until something stops the core, or so many instructions; the reason.

        Raises:
            Exception: whatever a device raised.
        """
        self.state.stop_reason = 0
        self.exception_number = 0
        self.bad_access = None
        error = 0
        try:
            self.uc.emu_start(pc | 1, 0xFFFFFFFE, count=count)
        except UcError as failed:
            error = failed.errno
        self._library.edgeq_settle(self._core)
        raised = self._take_error()
        if raised is not None:
            raise raised
        return self._reason(error)

    def _reason(self, error: int) -> Stop:
        if self.exception_number:
            return Stop.EXCEPTION
        if self.bad_access is not None:
            return Stop.BAD_ACCESS
        if error:
            return Stop.UNDEFINED
        return Stop(self.state.stop_reason) if self.state.stop_reason else Stop.SLEEP

    def counters(self) -> Counters:
        """The counters now."""
        return Counters(**{name: getattr(self.state, name) for name in COUNTERS})

    def _take_error(self) -> BaseException | None:
        error, self._error = self._error, None
        return error

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self.uc.emu_stop()

    def _decode(self, address: int, size: int) -> int:
        try:
            code = bytes(self.uc.mem_read(address, size))
            priced = self.model.price(code, address, self._unit)
            self.blocks[address] = priced
            self._runs_from_flash = self._runs_from_flash or any(address in cells for cells in self._cells)
            units, checks = len(priced.unit_cycles), priced.alignment
            return int(
                self._library.edgeq_add_block(
                    self._core,
                    address,
                    size,
                    priced.instructions,
                    priced.flags,
                    priced.taken_cycles,
                    units,
                    (ctypes.c_uint16 * units)(*priced.unit_cycles),
                    len(checks),
                    (Check * len(checks))(
                        *(
                            Check(_REGISTERS[c.register], (ctypes.c_uint16 * 4)(*c.extra_cycles), c.traps)
                            for c in checks
                        )
                    ),
                )
            )
        except BaseException as failed:  # nothing may be raised through the emulator's C frames
            self._fail(failed)
            return -1

    def _on_exception(self, uc: Any, number: int, user: Any) -> None:
        self.exception_number = number
        uc.emu_stop()

    def _on_bad_access(self, uc: Any, kind: int, address: int, size: int, value: int, user: Any) -> bool:
        fetch = (unicorn_const.UC_MEM_FETCH_UNMAPPED, unicorn_const.UC_MEM_FETCH_PROT)
        write = (unicorn_const.UC_MEM_WRITE_UNMAPPED, unicorn_const.UC_MEM_WRITE_PROT)
        word: Literal["read", "write", "fetch"] = "fetch" if kind in fetch else "write" if kind in write else "read"
        self.bad_access = BadAccess(word, address, size, uc.reg_read(arm_const.UC_ARM_REG_PC))
        return False
