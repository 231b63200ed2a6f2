"""A board made of its target's description: core, memories, devices; boots the very image that would be flashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from edgeq import registry
from edgeq.errors import InputFileError, TargetFileError
from edgeq.events import Listener, silent
from edgeq.simulator import boot
from edgeq.simulator import nvic as n
from edgeq.simulator.bus import Bus, earliest
from edgeq.simulator.cycles.block import CycleModel
from edgeq.simulator.debug import DebugState
from edgeq.simulator.debugger import Board as Wiring
from edgeq.simulator.debugger import Debugger
from edgeq.simulator.engine import NEVER, Engine
from edgeq.simulator.faults import SOUND, BoardFault, Defects
from edgeq.simulator.native.state import Counters
from edgeq.simulator.nvic import Nvic
from edgeq.simulator.peripherals.device import Programming, SerialPort, Wires
from edgeq.simulator.private_bus import CoreSignals, PrivateBus
from edgeq.simulator.processor import Processor
from edgeq.simulator.symbols import Symbols
from edgeq.target import Target


class Ended(Enum):
    """Why `run` came back."""

    LIMIT = "limit"  # the cycles asked for have passed
    CONDITION = "condition"  # `until` was true
    IDLE = "idle"  # the core sleeps and no device will wake it by itself
    HALTED = "halted"  # a debugger has stopped it


class VirtualBoard:
    """A board that runs firmware.

    Args:
        image: the raw image, as flashed from the target's `image_base` on; None: the flash stays as `kept` has it, or
            erased.
        elf: for names in fault messages.
        transmitted: called with every byte that the console sends.
        wait_states: overrides what the firmware sets in the flash controller (0 = ideal memory).
        cache: folder for the compiled counters (default: the user's cache folder).
        kept: files that hold what the flash memories hold, by the memories' names: read, and changed as they change.
        defects: what is wrong with the flash.
        pin_changed: called with (name, level, cycle) when the firmware drives a pin to another level.

    Raises:
        InputFileError: the image can't be one for this target.
        TargetFileError: the target has nothing to simulate it with.
    """

    def __init__(
        self,
        target: Target,
        image: bytes | None,
        elf: bytes | None = None,
        *,
        transmitted: Callable[[bytes], None] | None = None,
        wait_states: int | None = None,
        listener: Listener = silent,
        cache: Path | None = None,
        pin_changed: Callable[[str, bool, int], None] | None = None,
        kept: Mapping[str, Path] = MappingProxyType({}),
        defects: Defects = SOUND,
    ) -> None:
        modelled = any(p.model for p in target.soc.peripheral)
        if target.core.cycle_model not in registry.CYCLE_MODELS or not modelled:
            raise TargetFileError(
                f"{target.name} can't be simulated: its files name no cycle model or no peripherals",
                where=str(target.path),
                next_step="`edgeq targets list` shows the targets with a virtual board",
            )
        self.target = target
        self.symbols = Symbols(elf)
        self.model: CycleModel = registry.load(registry.CYCLE_MODELS, target.core.cycle_model, "cycle model")
        self.sent = bytearray()
        self.core_hz = 0
        self._set_wait_states = 0
        self._transmitted = transmitted
        self._pin_changed = pin_changed
        self._wait_states = wait_states
        self._kept = kept
        # What answers only after a controller has been set up isn't modelled.
        self._memory = tuple(m for m in target.soc.memory if not m.needs_setup)
        self._flash = next(m for m in self._memory if "code" in m.holds)
        self._ram = tuple(m for m in self._memory if m.kind == "ram")
        self._cells = tuple(m for m in self._memory if m.kind == "flash")
        # A bootloader in front of the application is taken to have jumped there.
        self._vectors = target.region_for("code").base
        self._made = False
        self._make(listener, cache)
        self._made = True
        state = self._engine.state
        state.flash_dead, state.stuck_address = defects.flash_dead, defects.stuck_address
        state.stuck_bits = defects.stuck_bits
        self.image_offset = target.image_base - self._flash.base
        if image is not None:
            self._check_vectors(image)
            self.program(self.image_offset, image)
        self.reset()

    def _make(self, listener: Listener, cache: Path | None) -> None:
        flash = self._flash
        self._engine = Engine(
            self.model,
            (flash.base, flash.size_bytes),
            self.target.soc.flash_timing,
            None if self._wait_states == 0 else self.target.soc.slow_reads,
            self.target.core.emulator_cpu,
            cache,
        )
        for memory in self._memory:
            if memory.kind == "flash":
                self._engine.add_flash(memory.base, memory.size_bytes, self._kept.get(memory.name))
            else:
                self._engine.map_memory(memory.base, memory.size_bytes, writable=True)
        if all(m.base != 0 for m in self._memory):
            # Cortex-M chips boot from address 0, where they show their flash.
            self._engine.map_memory(0, flash.size_bytes, writable=False, like=flash.base)
        self._nvic = Nvic(self.target.soc.interrupts, self.target.soc.priority_bits)
        self._debug = DebugState()
        self._private = PrivateBus(
            self._nvic, self._debug, CoreSignals(self._now, self._look_again, self._ask_reset, self._switch_fpu)
        )
        wires = Wires(
            now=self._now,
            interrupt=self._interrupt,
            transmit=self._transmit,
            flash_settings=self._flash_settings,
            flash_write=self._flash_write,
            flash_faults=self._flash_faults,
            flash_erase=self._flash_erase,
            clock_changed=self._clock_changed,
            clock_hz=lambda: self.core_hz,
            timer_divider=self._timer_divider,
            schedule=self._schedule,
            wake=self._look_again,
            pin=self._pin,
            read_memory=self._dma_read,
            write_memory=self._dma_write,
        )
        console_name = self.target.board.console.peripheral
        rows = [row for row in self.target.soc.peripheral if row.model]
        self._bus = Bus(rows, console_name, wires, self._private, listener)
        self._bus.attach(self._engine)
        console = self._bus.devices.get(console_name)
        if not isinstance(console, SerialPort):
            raise TargetFileError("the console's model can't be fed", where=str(self.target.path))
        self._console = console
        self._processor = Processor(
            self._engine, self._nvic, self._private, self._bus, self.symbols, self._ram, self.model, self._boot
        )

    def close(self) -> None:
        """Give the memory back."""
        self._engine.close()

    # What a user of the board does

    @property
    def cycles(self) -> int:
        """Core cycles since the board was made."""
        return int(self._engine.state.cycles)

    def counters(self) -> Counters:
        """Cycles, instructions, stalls, cache hits."""
        return self._engine.counters()

    def feed(self, data: bytes) -> None:
        """Bytes for the console's receive line."""
        self._console.feed(data)

    @property
    def unread(self) -> int:
        """Bytes fed that the firmware hasn't been given yet."""
        return len(self._console.waiting)

    def program(self, offset: int, data: bytes) -> None:
        """Write the flash from the outside, as a debug probe would (the rest stays); `reset` starts it.

        Raises:
            InputFileError: it doesn't fit.
        """
        if offset < 0 or offset + len(data) > self._flash.size_bytes:
            raise InputFileError(
                f"the image needs {offset + len(data)} bytes but the flash has {self._flash.size_bytes}",
                where=self.target.name,
            )
        memory = self._engine.memory(self._flash.base)
        memory[offset : offset + len(data)] = data
        self._engine.code_changed()

    def _check_vectors(self, image: bytes) -> None:
        start = self._vectors - self.target.image_base
        stack, entry = (int.from_bytes(image[start + i : start + i + 4], "little") for i in (0, 4))
        in_ram = any(m.base < stack <= m.base + m.size_bytes for m in self._ram)
        flash_end = self._flash.base + self._flash.size_bytes
        if not in_ram or not entry & 1 or not self._flash.base <= entry < flash_end:
            raise InputFileError(
                f"this is no image for {self.target.soc.title}: its first words are 0x{stack:08X} (stack, should be "
                f"in RAM) and 0x{entry:08X} (entry, should be an odd address in flash)",
                where="image",
                next_step="pass the raw .bin that starts with the vector table",
            )

    def check_flash(self) -> None:
        """Raise InputFileError where what the flash holds can't be started."""
        self._check_vectors(self.read_back(self.image_offset, self._vectors - self._flash.base - self.image_offset + 8))

    def debugger(self) -> Debugger:
        """What a debug probe on this board reaches."""
        return Debugger(
            Wiring(self._engine, self._processor, self._bus, self._debug, self.run, self.reset, self._erase_all)
        )

    def read_back(self, offset: int = 0, size: int | None = None) -> bytes:
        """What the flash holds."""
        memory = self._engine.memory(self._flash.base)
        end = self._flash.size_bytes if size is None else offset + size
        return bytes(memory[offset:end])

    def read_memory(self, address: int, size: int) -> bytes:
        """Memory as the core sees it (no devices)."""
        return bytes(self._engine.uc.mem_read(address, size))

    def reset(self) -> None:
        """As the reset button: RAM and flash keep their contents."""
        self._engine.code_changed()
        self._processor.reset(self._vectors)

    def _boot(self) -> int | None:
        """What a boot ROM that looks at the image does before it starts it; the address that it goes to."""
        stage = self.target.soc.second_stage
        if stage is None:
            return None
        code = self.read_back(0, boot.SECOND_STAGE_BYTES)
        if not boot.second_stage_is_sound(code):
            raise BoardFault(
                self._processor.facts(
                    "second-stage", "the boot ROM finds no second stage with a right CRC in the flash"
                )
            )
        self._engine.uc.mem_write(stage.load_address, code)
        return stage.load_address

    def run(
        self,
        max_cycles: int | None = None,
        until: Callable[[], bool] | None = None,
        *,
        slice_cycles: int = 1_000_000,
        skip_sleep: bool = True,
    ) -> Ended:
        """Run until a limit, a condition (looked at every `slice_cycles` and when the core sleeps), or idleness.

        Args:
            skip_sleep: a sleeping core's clock jumps to the next timer event; otherwise sleep is idleness and
                the caller lets time pass with `sleep_for`.

        Raises:
            BoardFault: the firmware has crashed for good.
        """
        end = NEVER if max_cycles is None else self.cycles + max_cycles
        while True:
            if until is not None and until():
                return Ended.CONDITION
            if self.cycles >= end:
                return Ended.LIMIT
            self._processor.run_until(min(end, self.cycles + slice_cycles))
            if self._processor.halted:
                return Ended.HALTED
            if not self._processor.asleep:
                continue
            if until is not None and until():
                return Ended.CONDITION
            event = earliest(self._bus, self._private, NEVER)
            if event == NEVER or not skip_sleep:
                return Ended.IDLE
            self._engine.state.cycles = max(self.cycles, min(event, end))

    @property
    def next_wake_cycles(self) -> int | None:
        """While asleep: cycles until a timer wakes the core; None = nothing will but input."""
        event = earliest(self._bus, self._private, NEVER)
        return None if event == NEVER else max(0, event - self.cycles)

    def sleep_for(self, cycles: int) -> None:
        """Let time pass for a sleeping core."""
        self._engine.state.cycles = self.cycles + cycles

    # What the devices ask of the board

    def _now(self) -> int:
        return int(self._engine.state.cycles)

    def _look_again(self) -> None:
        self._engine.state.stop_request = 1

    def _schedule(self, cycle: int) -> None:
        self._engine.state.deadline = min(self._engine.state.deadline, cycle)

    def _ask_reset(self) -> None:
        self._processor.reset_wanted = True
        self._look_again()

    def _interrupt(self, line: int, level: bool) -> None:
        if self._nvic.line(n.FIRST_IRQ + line, level):
            self._look_again()

    def _pin(self, name: str, level: bool) -> None:
        if self._pin_changed is not None:
            self._pin_changed(name, level, self.cycles)

    def _dma_read(self, address: int, size: int) -> bytes:
        self._check_dma(address, size)
        return self.read_memory(address, size)

    def _dma_write(self, address: int, data: bytes) -> None:
        self._check_dma(address, len(data))
        self._engine.uc.mem_write(address, data)

    def _check_dma(self, address: int, size: int) -> None:
        if not any(m.base <= address and address + size <= m.base + m.size_bytes for m in self._ram):
            words = f"a device's DMA is told to move {size} bytes at 0x{address:08X}, and it reaches RAM only"
            raise BoardFault(self._processor.facts("dma", words, address))

    def _transmit(self, byte: int) -> None:
        if self._transmitted is None:
            self.sent.append(byte)
        else:
            self._transmitted(bytes((byte,)))

    def _switch_fpu(self, on: bool) -> None:
        self._engine.state.fpu_enabled = on

    def _flash_settings(self, wait_states: int | None, prefetch: bool, instructions: bool, data: bool) -> None:
        state, timing = self._engine.state, self.target.soc.flash_timing
        if wait_states is None:
            wait_states = timing.at(self.target.soc.max_clock_hz) if timing is not None else 0
        state.wait_states = wait_states if self._wait_states is None else self._wait_states
        state.prefetch_on = prefetch and timing is not None and timing.prefetch
        state.instruction_cache_on, state.data_cache_on = instructions, data
        self._set_wait_states = wait_states
        self._check_clock()

    def _clock_changed(self, core_hz: int) -> None:
        self.core_hz = core_hz
        self._check_clock()

    def _timer_divider(self) -> int:
        clocks = self._bus.clocks
        return clocks.timer_divider() if clocks is not None else 1

    def _check_clock(self) -> None:
        """A flash that is read faster than it can answer gives garbage on silicon: say so instead of running on."""
        timing = self.target.soc.flash_timing
        if timing is None or not self.core_hz or not self._made:
            return
        needed = timing.at(min(self.core_hz, self.target.soc.max_clock_hz))
        if self.core_hz > self.target.soc.max_clock_hz:
            raise BoardFault(
                self._processor.facts(
                    "clock",
                    f"the core's clock is set to {self.core_hz / 1e6:g} MHz, the chip allows "
                    f"{self.target.soc.max_clock_hz / 1e6:g} MHz",
                )
            )
        if self._set_wait_states < needed:
            raise BoardFault(
                self._processor.facts(
                    "flash-wait-states",
                    f"the flash is set to {self._set_wait_states} wait states but needs {needed} at "
                    f"{self.core_hz / 1e6:g} MHz",
                )
            )

    def _flash_write(self, rules: Programming | None) -> None:
        was_open = bool(self._engine.state.flash_open)
        self._engine.open_flash([m.base for m in self._cells], rules)
        if was_open and rules is None:
            self._engine.flash_changed()

    def _flash_faults(self) -> int:
        faults, self._engine.state.program_faults = int(self._engine.state.program_faults), 0
        return faults

    def _flash_erase(self, address: int, size: int) -> None:
        if self._engine.state.flash_dead:
            return
        memory = next(m for m in self._cells if m.base <= address < m.base + m.size_bytes)
        offset = address - memory.base
        self._engine.memory(memory.base)[offset : offset + size] = b"\xff" * size
        self._engine.flash_changed()

    def _erase_all(self) -> None:
        for memory in self._cells:
            self._flash_erase(memory.base, memory.size_bytes)
        for memory in self._ram:
            self._engine.uc.mem_write(memory.base, bytes(memory.size_bytes))
