"""What every register block on a virtual board has in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar

from edgeq.target import ClockEnable, Peripheral

NEVER = (1 << 63) - 1


class ProgramFault(IntFlag):
    """Why a write to flash changed nothing; native/core.c has the same list."""

    WIDTH = 1
    ROW = 2
    CLOSED = 4


@dataclass(frozen=True)
class Programming:
    """What a flash controller that programs takes; other writes change nothing.

    Attributes:
        width_bytes: of each write, aligned to them; 0 = any.
        row_bytes: no write may cross the end of a row; 0 = there are none.
        traps: what isn't so is a bus fault.
    """

    width_bytes: int = 0
    row_bytes: int = 0
    traps: bool = False


@dataclass(frozen=True)
class Wires:
    """How a device reaches the rest of the board.

    Attributes:
        now: the clock, in core cycles.
        interrupt: (line, level) drives an interrupt line of the NVIC.
        transmit: a byte leaves through the console.
        flash_settings: (wait states, prefetch, instruction cache, data cache) as the flash controller has them; None:
            the chip's fixed wait states.
        flash_write: let what is written to flash get there (programming), or not (None).
        flash_faults: why writes to flash changed nothing since it was asked last (`ProgramFault` bits).
        flash_erase: (address, size) sets that part of the flash to 0xFF.
        clock_changed: the core's clock is now that many Hz.
        clock_hz: of the core, now.
        timer_divider: core cycles per clock of the timers on the first peripheral bus.
        schedule: `next_event` has become that cycle, while the core runs.
        wake: the board should look at devices and interrupts again.
        pin: (name, level) a pin that is an output has changed; its name as the chip's documents write it.
        read_memory, write_memory: (address, size) and (address, bytes): what a device moves by itself (DMA).
    """

    now: Callable[[], int]
    interrupt: Callable[[int, bool], None]
    transmit: Callable[[int], None]
    flash_settings: Callable[[int | None, bool, bool, bool], None]
    flash_write: Callable[[Programming | None], None]
    flash_faults: Callable[[], int]
    flash_erase: Callable[[int, int], None]
    clock_changed: Callable[[int], None]
    clock_hz: Callable[[], int]
    timer_divider: Callable[[], int]
    schedule: Callable[[int], None]
    wake: Callable[[], None]
    pin: Callable[[str, bool], None]
    read_memory: Callable[[int, int], bytes]
    write_memory: Callable[[int, bytes], None]


class Device:
    """32-bit registers that keep what is written to them. Models override `load` and `store`.

    Attributes:
        writable: a write to a block that isn't is a bus fault.
    """

    writable: ClassVar[bool] = True

    def __init__(self, row: Peripheral, wires: Wires) -> None:
        self.row = row
        self.wires = wires
        self.words: dict[int, int] = {}
        self._reset_values = {int(k, 16): v for k, v in row.reset_values.items()}
        self.reset()

    def reset(self) -> None:
        """Registers as after a reset."""
        self.words = dict(self._reset_values)

    def load(self, offset: int) -> int:
        """Value of the word register at `offset`."""
        return self.words.get(offset, 0)

    def store(self, offset: int, value: int) -> None:
        """A word register is written."""
        self.words[offset] = value

    def read(self, offset: int, size: int) -> int:
        """A bus read of 1, 2 or 4 bytes."""
        word = self.load(offset & ~3)
        return word >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """A bus write; narrow ones go to the rest of the word unchanged."""
        if size < 4:
            shift, mask = 8 * (offset & 3), (1 << 8 * size) - 1
            value = self.words.get(offset & ~3, 0) & ~(mask << shift) | (value & mask) << shift
        self.store(offset & ~3, value & 0xFFFF_FFFF)

    def clock_enable(self, offset: int) -> ClockEnable | None:
        """What has to be on for the register at `offset` to answer; None = nothing."""
        return self.row.clock_enable

    def next_event(self) -> int:
        """The cycle at which something will happen by itself, or NEVER."""
        return NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Time has passed; `asleep`: the core waits for an interrupt."""


class ReadOnly(Device):
    """Factory-programmed memory."""

    writable = False


class Clocks(Device):
    """What decides how fast the core runs: one on every chip. Models say `core_hz`."""

    def core_hz(self) -> int:
        """The core's clock as the registers have it now."""
        raise NotImplementedError

    def timer_divider(self) -> int:
        """Core cycles per clock of the timers on the first peripheral bus."""
        return 1

    def reset(self) -> None:
        """The clock after a reset is told to the board too."""
        super().reset()
        self.wires.clock_changed(self.core_hz())

    def write(self, offset: int, size: int, value: int) -> None:
        """A change of the clock is told to the board."""
        before = self.core_hz()
        super().write(offset, size, value)
        after = self.core_hz()
        if after != before:
            self.wires.clock_changed(after)


# Cycles between characters while the core is busy: far more than a receive interrupt takes, far less than the
# 10,400 of a real line at 115,200 baud and 120 MHz. A core that sleeps gets the next ones at once.
_CHARACTER_CYCLES = 500
# A receive interrupt that reads until nothing is left finds up to this many characters: fewer interrupts to simulate,
# and few enough for any buffer that holds a command (80 characters) to be emptied in between.
_BURST = 32


class SerialPort(Device):
    """A UART that can be a board's console: what the host feeds comes in without being paced at the baud rate.

    Models say when they are `receiving` and how many characters they hold (`depth`), read them with `take`, and
    drive their interrupt in `update`.

    Attributes:
        waiting: characters on the receive line; they stay there over a reset.
        held: characters that have come in and were not read yet.
    """

    def __init__(self, row: Peripheral, wires: Wires) -> None:
        self.waiting: deque[int] = deque()
        super().__init__(row, wires)

    def reset(self) -> None:
        """Nothing received."""
        super().reset()
        self.held: deque[int] = deque()
        self._next_refill = 0
        self._left = 0

    def receiving(self) -> bool:
        """Whether characters on the line are taken."""
        raise NotImplementedError

    def depth(self) -> int:
        """How many characters the receiver holds."""
        return 1

    def burst(self) -> int:
        """How many come one right behind the other."""
        return _BURST

    @staticmethod
    def pause(count: int) -> int:
        """Cycles between the start of a burst of that many characters and the next one."""
        return count * _CHARACTER_CYCLES

    def update(self) -> None:
        """Characters have come or gone: the interrupt line may change."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        """Put characters on the receive line."""
        self.waiting.extend(data)
        self.wires.wake()

    def next_event(self) -> int:
        """When the next characters arrive."""
        return self._next_refill if self.waiting and not self.held and self.receiving() else NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Characters arrive."""
        if self.held or not self.waiting or not self.receiving():
            return
        if asleep or now >= self._next_refill:
            self._left = self.burst()
            self._next_refill = now + self.pause(self._left)
            self._refill()
            self.update()

    def _refill(self) -> None:
        for _ in range(min(self.depth(), self._left, len(self.waiting))):
            self.held.append(self.waiting.popleft())
            self._left -= 1

    def take(self) -> int:
        """The oldest character received, 0 when there is none; the rest of the burst moves up."""
        value = self.held.popleft() if self.held else 0
        if not self.held:
            self._refill()
        if not self.held:
            self.update()
            self.wires.schedule(self.next_event())
        return value
