"""Target: what a model is built for. Facts are data: `targets/cores`, `targets/socs`, `targets/boards`.

A board names its soc and a soc names its core, so there is nothing that could form a cycle. Every file
goes through one strict loader, the user's own too.
"""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from edgeq import resources
from edgeq.errors import TargetFileError, UsageError
from edgeq.toml_schema import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
MemoryUse = Literal["code", "weights", "arena", "data", "stack"]


@dataclass(frozen=True)
class Compiler:
    """How the two toolchains name a core.

    Attributes:
        zig_target: the `-target` triple of `zig cc`.
        zig_cpu: its `-mcpu`, features spelled out (a bare name switches the FPU off).
        gcc_flags: machine flags of arm-none-eabi-gcc.
    """

    zig_target: str
    zig_cpu: str
    gcc_flags: tuple[str, ...]


@dataclass(frozen=True)
class Core:
    """A processor core.

    Attributes:
        isa: features that kernels ask for: "thumb", "thumb2", "dsp", "fpu", "mve".
        cycle_model: name of the simulator's cycle model for it, "" if there is none.
        emulator_cpu: the CPU's name in the emulator, "" if it has none.
    """

    name: str
    title: str
    architecture: str
    isa: tuple[str, ...]
    compiler: Compiler
    source: str
    cycle_model: str = ""
    emulator_cpu: str = ""


@dataclass(frozen=True)
class Memory:
    """One contiguous region of the address space.

    Attributes:
        holds: what edgeq may place there.
        erase_bytes: flash only: the smallest erasable piece.
        source: the document that gives base and size.
    """

    name: str
    kind: Literal["flash", "ram"]
    base: int
    size_bytes: int
    holds: tuple[MemoryUse, ...]
    source: str
    erase_bytes: int = 0


@dataclass(frozen=True)
class WaitStates:
    """Flash wait states needed up to a clock."""

    max_clock_hz: int
    wait_states: int


@dataclass(frozen=True)
class FlashTiming:
    """The embedded flash as the core sees it, for the cycle model.

    Attributes:
        read_bytes: bytes that one flash access returns.
        instruction_cache_lines, data_cache_lines: lines of `cache_line_bytes` each; 0 = no cache.
        prefetch: whether the next line is read ahead of sequential code.
        data_hit_cycles: extra cycles of a data read that the data cache answers; the piece of `read_bytes` that was
            read last answers without.
    """

    wait_states: tuple[WaitStates, ...]
    read_bytes: int
    cache_line_bytes: int
    instruction_cache_lines: int
    data_cache_lines: int
    prefetch: bool
    source: str
    data_hit_cycles: int = 0

    def at(self, clock_hz: int) -> int:
        """Wait states at a clock.

        Raises:
            TargetFileError: the flash isn't specified for that clock.
        """
        for row in sorted(self.wait_states, key=lambda r: r.max_clock_hz):
            if clock_hz <= row.max_clock_hz:
                return row.wait_states
        raise TargetFileError(f"no wait states are given for {clock_hz} Hz", where="flash_timing")


@dataclass(frozen=True)
class SlowReads:
    """A part of the RAM whose data reads take longer, for the cycle model."""

    base: int
    size_bytes: int
    extra_cycles: int
    source: str


@dataclass(frozen=True)
class ClockEnable:
    """The bit that gives a peripheral its clock: offset of the register in the reset and clock controller, and bit."""

    register: int
    bit: int


@dataclass(frozen=True)
class Peripheral:
    """A block of registers on a virtual board.

    Attributes:
        model: name of the simulator's model (`stm32-lpuart`), or "memory" for plain registers.
        irq: its interrupt number, -1 if it has none.
        clock_enable: without it the block reads as zero and ignores writes; None = always on.
        reset_values: register offset (as "0x04") to its value after reset, where that isn't 0.
    """

    name: str
    model: str
    base: int
    size_bytes: int
    irq: int = -1
    clock_enable: ClockEnable | None = None
    reset_values: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    source: str = ""


@dataclass(frozen=True)
class Soc:
    """A chip.

    Attributes:
        firmware: folder of `firmware_templates/boards` with start-up and drivers for the family.
        pyocd_target: pyOCD's name of the part, "" if pyOCD can't program it.
        pyocd_pack: the CMSIS-Pack that teaches pyOCD the part, "" if it is built in.
        interrupts: number of external interrupt lines.
    """

    name: str
    title: str
    core: str
    max_clock_hz: int
    memory: tuple[Memory, ...]
    interrupts: int
    source: str
    firmware: str = ""
    pyocd_target: str = ""
    pyocd_pack: str = ""
    flash_timing: FlashTiming | None = None
    slow_reads: SlowReads | None = None
    peripheral: tuple[Peripheral, ...] = ()


@dataclass(frozen=True)
class Console:
    """The serial port that a person sees when the board is plugged in."""

    peripheral: str
    baud: int
    source: str


@dataclass(frozen=True)
class UsbId:
    """What the board's debug probe (or the board) calls itself on USB."""

    vendor_id: int
    product_id: int
    title: str


@dataclass(frozen=True)
class Power:
    """Electrical power while inferring.

    Attributes:
        active_mw: mean power in milliwatts at `clock_hz` and `supply_v`.
        tolerance_percent: how far single networks lie from it.
    """

    active_mw: float
    clock_hz: int
    supply_v: float
    tolerance_percent: float
    source: str


@dataclass(frozen=True)
class Board:
    """A board: a chip at a clock, with a console and ways to be flashed.

    Attributes:
        runners: names in edgeq.registry.RUNNERS that can flash it, best first.
        drive_label: volume label of the drive its debug probe shows, "" if none.
    """

    name: str
    title: str
    soc: str
    clock_hz: int
    console: Console
    runners: tuple[str, ...]
    source: str
    usb: tuple[UsbId, ...] = ()
    power: Power | None = None
    drive_label: str = ""
    url: str = ""


@dataclass(frozen=True)
class Target:
    """A board with its chip and core, all of it read and checked."""

    board: Board
    soc: Soc
    core: Core
    path: Path

    @property
    def name(self) -> str:
        """The name that `--target` takes."""
        return self.board.name

    @property
    def clock_hz(self) -> int:
        """The clock the firmware sets up."""
        return self.board.clock_hz

    def memory_for(self, use: MemoryUse) -> tuple[Memory, ...]:
        """The regions that may hold `use`, in the file's order (best first)."""
        return tuple(m for m in self.soc.memory if use in m.holds)

    @property
    def ram_bytes(self) -> int:
        """Bytes of RAM that may hold arena, data or stack."""
        return sum(m.size_bytes for m in self.soc.memory if m.kind == "ram" and m.holds)

    @property
    def flash_bytes(self) -> int:
        """Bytes of flash that may hold code or weights."""
        return sum(m.size_bytes for m in self.soc.memory if m.kind == "flash" and m.holds)

    @property
    def wait_states(self) -> int:
        """Flash wait states at the board's clock (0 where the chip's flash isn't described)."""
        return self.soc.flash_timing.at(self.clock_hz) if self.soc.flash_timing else 0


def names(extra: Path | None = None) -> tuple[str, ...]:
    """Every target's name, sorted; those in the folder `extra` too."""
    return tuple(sorted(_files("boards", extra)))


def load(name: str, extra: Path | None = None) -> Target:
    """The target of that name.

    Args:
        extra: a folder of the user's own, laid out like `targets/`, looked into first.

    Raises:
        UsageError: no such target; the nearest names are suggested.
        TargetFileError: its file, or one that it refers to, is not valid.
    """
    boards = _files("boards", extra)
    if name not in boards:
        near = difflib.get_close_matches(name.lower(), list(boards), n=3, cutoff=0.4)
        raise UsageError(
            f"there is no target '{name}'",
            next_step=(f"did you mean {' or '.join(near)}? " if near else "") + "see `edgeq targets list`",
            name=name,
            suggestions=near,
        )
    path = boards[name]
    board = _read(Board, path)
    soc = _refer(Soc, "socs", board.soc, path, extra)
    core = _refer(Core, "cores", soc.core, path, extra)
    target = Target(board, soc, core, path)
    _validate(target)
    return target


def load_file(path: Path, extra: Path | None = None) -> Target:
    """A target from one board file of the user's own.

    Raises:
        TargetFileError: it isn't valid.
    """
    board = _read(Board, path)
    soc = _refer(Soc, "socs", board.soc, path, extra)
    target = Target(board, soc, _refer(Core, "cores", soc.core, path, extra), path)
    _validate(target)
    return target


def _refer(cls: type[T], kind: str, name: str, referrer: Path, extra: Path | None) -> T:
    files = _files(kind, extra)
    if name not in files:
        near = difflib.get_close_matches(name, list(files), n=1)
        raise TargetFileError(
            f"refers to '{name}', which is not in {kind}/",
            where=str(referrer),
            next_step=f"did you mean '{near[0]}'?" if near else f"add targets/{kind}/{name}.toml",
        )
    return _read(cls, files[name])


def _files(kind: str, extra: Path | None) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for root in (resources.folder("targets"), extra):
        if root is not None and (root / kind).is_dir():
            found.update({p.stem: p for p in sorted((root / kind).glob("*.toml"))})
    return found


@lru_cache(maxsize=256)
def _parse(path: Path, modified_ns: int) -> Mapping[str, Any]:
    with path.open("rb") as stream:
        return MappingProxyType(tomllib.load(stream))


def _read(cls: type[T], path: Path) -> T:
    try:
        table = _parse(path, path.stat().st_mtime_ns)
    except OSError as failed:
        raise TargetFileError(f"can't be read: {failed.strerror}", where=str(path)) from failed
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failed:
        raise TargetFileError(f"is not valid TOML: {failed}", where=str(path)) from failed
    value = build(cls, table, str(path))
    name = getattr(value, "name", "")
    if name != path.stem:
        raise TargetFileError(f"name is '{name}' but the file is called '{path.stem}.toml'", where=str(path))
    return value


def _validate(target: Target) -> None:
    """What the types can't say."""
    where, soc, board = str(target.path), target.soc, target.board
    if not 0 < board.clock_hz <= soc.max_clock_hz:
        raise TargetFileError(
            f"clock_hz is {board.clock_hz} but the {soc.title} allows {soc.max_clock_hz}", where=where
        )
    regions = sorted(soc.memory, key=lambda m: m.base)
    for memory in regions:
        if memory.size_bytes <= 0 or memory.base < 0 or memory.base + memory.size_bytes > 1 << 32:
            raise TargetFileError(f"memory '{memory.name}' has no valid place or size", where=where)
    for lower, upper in itertools.pairwise(regions):
        if lower.base + lower.size_bytes > upper.base:
            raise TargetFileError(f"memories '{lower.name}' and '{upper.name}' overlap", where=where)
    for use in ("code", "weights", "arena", "data", "stack"):
        if not target.memory_for(use):
            raise TargetFileError(f"no memory of {soc.name} may hold '{use}'", where=where)
    peripherals = {p.name for p in soc.peripheral}
    if peripherals and board.console.peripheral not in peripherals:
        raise TargetFileError(
            f"the console '{board.console.peripheral}' is not a peripheral of {soc.name}", where=where
        )
