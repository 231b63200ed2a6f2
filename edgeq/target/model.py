"""Target: a board with its chip and core, and what follows from the three."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgeq.errors import UnsupportedError
from edgeq.target.schema import OWN_ENGINE, USES, Board, Core, Kind, Memory, MemoryUse, Soc


@dataclass(frozen=True)
class Target:
    """A board with its chip and core, all of it read and checked.

    Attributes:
        soc: the chip, with the memories of the board after its own.
        path: the board's file.
    """

    board: Board
    soc: Soc
    core: Core
    path: Path

    @property
    def name(self) -> str:
        """The name that `--target` takes."""
        return self.board.name

    @property
    def kind(self) -> Kind:
        """Microcontroller, Linux computer or phone."""
        return self.board.kind

    @property
    def clock_hz(self) -> int:
        """The clock the firmware sets up; of computers and phones, the fastest core's highest."""
        return self.board.clock_hz or self.soc.max_clock_hz

    @cached_property
    def memory(self) -> tuple[Memory, ...]:
        """What an application may use: what others reserve is cut off, what needs setting up is left out.

        A computer or phone has one region, without a place: the RAM that a program can count on.
        """
        system = self.board.system
        if system is not None:
            return (Memory("RAM", "ram", 0, system.app_ram_bytes, USES, system.app_ram_source),)
        return tuple(self._usable(m) for m in self.soc.memory if not m.needs_setup)

    def _usable(self, memory: Memory) -> Memory:
        taken = [r for r in (*self.soc.reserved, *self.board.reserved) if r.memory == memory.name]
        start = sum(r.size_bytes for r in taken if r.at == "start")
        whole = sum(r.size_bytes for r in taken)
        return replace(memory, base=memory.base + start, size_bytes=memory.size_bytes - whole) if taken else memory

    def memory_for(self, use: MemoryUse) -> tuple[Memory, ...]:
        """The usable regions that may hold `use`, in the file's order (best first)."""
        return tuple(m for m in self.memory if use in m.holds)

    def region_for(self, use: MemoryUse) -> Memory:
        """The one region where edgeq puts `use`: the largest for the arena, which must be in one piece; else the
        first."""
        regions = self.memory_for(use)
        return max(regions, key=lambda m: m.size_bytes) if use == "arena" else regions[0]

    @property
    def image_base(self) -> int:
        """Where an image of edgeq's firmware starts: at its vector table, or at what firmware puts before that into a
        reserved piece (a second-stage bootloader)."""
        code = self.region_for("code")
        filled = [r for r in (*self.soc.reserved, *self.board.reserved) if r.memory == code.name and r.section]
        return code.base - sum(r.size_bytes for r in filled if r.at == "start")

    @property
    def ram_bytes(self) -> int:
        """Bytes of RAM that may hold arena, data or stack, in all regions together."""
        return sum(m.size_bytes for m in self.memory if m.kind == "ram" and set(m.holds) & {"arena", "data", "stack"})

    @property
    def flash_bytes(self) -> int:
        """Bytes of flash that may hold code or weights; 0 on computers and phones."""
        return sum(m.size_bytes for m in self.memory if m.kind == "flash" and m.holds)

    @property
    def wait_states(self) -> int:
        """Flash wait states at the board's clock (0 where the chip's flash isn't described)."""
        if self.soc.flash_timing:
            return self.soc.flash_timing.at(self.clock_hz)
        return next((m.wait_states or 0 for m in self.memory if m.kind == "flash"), 0)

    @property
    def has_virtual_board(self) -> bool:
        """Whether `--sim` works for it."""
        simulated = self.core.cycle_model and self.core.emulator_cpu and any(p.model for p in self.soc.peripheral)
        return bool("virtual" in self.board.runners and simulated)

    def require_firmware(self, verb: str) -> None:
        """Refuse what only makes sense where firmware runs without an operating system.

        Args:
            verb: what can't be done, as in "there is no firmware to build".

        Raises:
            UnsupportedError: it is a computer or a phone; what it offers is named.
        """
        system = self.board.system
        if system is None:
            return
        others = " or ".join(name for name in self.board.runtimes if name != OWN_ENGINE) or "a runtime of your own"
        raise UnsupportedError(
            f"runs {system.os.capitalize()}: there is no firmware to {verb}",
            where=self.name,
            next_step=f"{others} runs .tflite files there; `edgeq check` works for it, and "
            "`edgeq targets list --kind microcontroller` shows where firmware runs",
            kind=self.kind,
            runtimes=list(self.board.runtimes),
        )
