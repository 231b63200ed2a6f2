"""What a target file may say: every table is a frozen dataclass, every key a field.

docs/targets.md is made from the docstrings below, so each attribute is explained here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from edgeq.errors import TargetFileError

Kind = Literal["microcontroller", "linux", "phone"]
MemoryUse = Literal["code", "weights", "arena", "data", "stack"]
OWN_ENGINE = "edgeq"
"""The name of edgeq's own engine among `runtimes`; the others are files of `targets/runtimes/`."""
USES: tuple[MemoryUse, ...] = ("code", "weights", "arena", "data", "stack")


@dataclass(frozen=True)
class Compiler:
    """How the toolchains name a core.

    Attributes:
        zig_target: the `-target` triple of `zig cc`.
        zig_cpu: its `-mcpu`, features spelled out (a bare name switches the FPU off).
        gcc_flags: machine flags of arm-none-eabi-gcc, or of a Linux cross gcc.
    """

    zig_target: str
    zig_cpu: str
    gcc_flags: tuple[str, ...]


@dataclass(frozen=True)
class Core:
    """A processor core: a file of `cores/`.

    Attributes:
        name: the file's name; socs refer to it.
        title: as people write it.
        architecture: Arm's name of it, such as "armv7e-m".
        isa: features that kernels ask for: "thumb", "thumb2", "dsp", "fpu", "mve"; "armv6-m" on cores that have no
            more than that; "neon", "dotprod", "i8mm" on application cores.
        compiler: how the toolchains name it.
        source: the document that says so.
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
    """One contiguous region of the address space. What must be in one piece, such as the arena, needs one region.

    The order matters: code, weights, data and stack go to the first region that may hold them, the arena to the
    largest.

    Attributes:
        name: unique on the target; the linker script uses it.
        kind: "flash" is what an image is loaded into (also RAM that a debugger or an emulator fills), "ram" is what
            the firmware may write.
        base: first address.
        size_bytes: whole size; what is reserved is subtracted by edgeq.
        holds: what may lie there: "code", "weights", "arena", "data", "stack"; [] = edgeq leaves it alone.
        source: the documents that give base and size.
        erase_bytes: flash only: the smallest erasable piece.
        sector_bytes: flash only, where those pieces differ in size: each one's, from the base on.
        attached: "core" = tightly coupled (ITCM, DTCM), "chip" = on the chip, "board" = beside it.
        wait_states: of reads at the highest clock, where that is one number; flash whose wait states depend on the
            clock has `flash_timing` instead.
        needs_setup: it answers only after firmware has set up its clock or controller (SDRAM, quad SPI). It is
            listed, and not counted until edgeq's firmware does that.
    """

    name: str
    kind: Literal["flash", "ram"]
    base: int
    size_bytes: int
    holds: tuple[MemoryUse, ...]
    source: str
    erase_bytes: int = 0
    sector_bytes: tuple[int, ...] = ()
    attached: Literal["core", "chip", "board"] = "chip"
    wait_states: int | None = None
    needs_setup: bool = False


@dataclass(frozen=True)
class Reserved:
    """A piece of a memory that is not the application's: a bootloader, a radio stack, a boot block.

    Attributes:
        memory: the region's name.
        size_bytes: how much of it.
        at: which end of the region.
        by: who needs it.
        source: the document that says so.
        section: what edgeq's firmware puts there: a section of its linker script, without the dot; "" = nothing.
    """

    memory: str
    size_bytes: int
    at: Literal["start", "end"]
    by: str
    source: str
    section: str = ""


@dataclass(frozen=True)
class WaitStates:
    """Flash wait states needed up to a clock.

    Attributes:
        max_clock_hz: the highest clock that needs no more.
        wait_states: extra cycles of an access.
    """

    max_clock_hz: int
    wait_states: int


@dataclass(frozen=True)
class FlashTiming:
    """The embedded flash as the core sees it, for the cycle model.

    Attributes:
        wait_states: a table by clock.
        read_bytes: bytes that one flash access returns.
        cache_line_bytes: of both caches.
        instruction_cache_lines: lines of `cache_line_bytes` each; 0 = no cache.
        data_cache_lines: the same for reads of data.
        prefetch: whether the next line is read ahead of sequential code.
        source: the document.
        data_hit_cycles: extra cycles of a data read that the data cache answers; the piece of `read_bytes` that was
            read last answers without.
        instruction_miss_cycles: extra cycles, besides the wait states, of an instruction read that fills the cache.
        ways: of one cache for instructions and data together, whose lines `instruction_cache_lines` counts, each of at
            most eight pieces of `read_bytes`; 0 = two caches, each of which may hold any line.
    """

    wait_states: tuple[WaitStates, ...]
    read_bytes: int
    cache_line_bytes: int
    instruction_cache_lines: int
    data_cache_lines: int
    prefetch: bool
    source: str
    data_hit_cycles: int = 0
    instruction_miss_cycles: int = 0
    ways: int = 0

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
class SecondStage:
    """A boot ROM that copies the start of the image to RAM, checks it and starts it there.

    Attributes:
        load_address: where in RAM.
        source: the document.
    """

    load_address: int
    source: str


@dataclass(frozen=True)
class AccessPort:
    """What a debug probe finds behind the debug port.

    Attributes:
        number: of the access port.
        kind: "memory", on the core's bus; "nrf-ctrl", Nordic's CTRL-AP, which locks that one away.
        id: its IDR.
        rom_table: of "memory": where its list of components is.
        protection_word: of "nrf-ctrl": the word of flash that locks the chip when its lowest byte is 0.
    """

    number: int
    kind: Literal["memory", "nrf-ctrl"]
    id: int
    rom_table: int = 0
    protection_word: int = 0


@dataclass(frozen=True)
class DebugPort:
    """The chip's end of the debug wire, so that its virtual board can be flashed through pyOCD.

    Attributes:
        id: its DPIDR.
        access_port: what is behind it.
        source: the documents.
    """

    id: int
    access_port: tuple[AccessPort, ...]
    source: str


@dataclass(frozen=True)
class SlowReads:
    """A part of the RAM whose data reads take longer, for the cycle model.

    Attributes:
        base: first address.
        size_bytes: of the part.
        extra_cycles: of a read.
        source: how it was found.
    """

    base: int
    size_bytes: int
    extra_cycles: int
    source: str


@dataclass(frozen=True)
class ClockEnable:
    """The bit that gives a peripheral its clock.

    Attributes:
        register: offset of the register in the reset and clock controller.
        bit: of that register.
    """

    register: int
    bit: int


@dataclass(frozen=True)
class Peripheral:
    """A block of registers: one that the firmware is told of (the console's), or one of the virtual board.

    Attributes:
        name: unique on the chip; the console refers to it.
        base: first address.
        size_bytes: of the block.
        model: name of the simulator's model (`stm32-lpuart`), or "memory" for plain registers; "" = the virtual board,
            where there is one, doesn't have it.
        irq: its interrupt number, -1 if it has none.
        clock_enable: without it the block reads as zero and ignores writes; none = always on.
        reset_values: register offset (as "0x04") to its value after reset, where that isn't 0.
        source: the document.
    """

    name: str
    base: int
    size_bytes: int
    model: str = ""
    irq: int = -1
    clock_enable: ClockEnable | None = None
    reset_values: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    source: str = ""


@dataclass(frozen=True)
class Cluster:
    """Equal application cores of a chip that runs an operating system.

    Attributes:
        core: its name, such as "cortex-a76"; it needs no file of its own.
        count: how many.
        max_clock_hz: their highest clock.
        source: the document, page or listing.
    """

    core: str
    count: int
    max_clock_hz: int
    source: str


@dataclass(frozen=True)
class Soc:
    """A chip: a file of `socs/`.

    Attributes:
        name: the file's name; boards refer to it.
        title: as people write it.
        core: a file of `cores/`: the core that code is compiled for (of several, the fastest).
        max_clock_hz: of that core.
        source: data sheet and reference manual.
        memory: its memories, best first; boards may add more. None on chips that run an operating system.
        reserved: what is not the application's on every board.
        cluster: the application cores, fastest first.
        interrupts: number of external interrupt lines.
        priority_bits: how many bits of an interrupt's priority the chip has.
        firmware: folder of `firmware_templates/boards` with clocks and drivers of the family, such as "stm32/f4" (the
            C of the folders above it belongs to it), "" if there is none.
        pyocd_target: pyOCD's name of the part, "" if pyOCD can't program it.
        pyocd_pack: the CMSIS-Pack that teaches pyOCD the part, "" if it is built in.
        flash_timing: the embedded flash, for wait states and the cycle model.
        slow_reads: RAM that is slower than the rest.
        second_stage: how the boot ROM starts the image; none = at its vector table.
        debug_port: what a debug probe finds; none = its virtual board can't be flashed by one.
        peripheral: blocks of registers: the console's, and those of the virtual board.
        cycle_error: how far the virtual board's cycles are known to be from this chip's silicon, in words; "" = what
            is known of the core's cycle model.
    """

    name: str
    title: str
    core: str
    max_clock_hz: int
    source: str
    memory: tuple[Memory, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    cluster: tuple[Cluster, ...] = ()
    interrupts: int = 0
    priority_bits: int = 4
    firmware: str = ""
    pyocd_target: str = ""
    pyocd_pack: str = ""
    flash_timing: FlashTiming | None = None
    slow_reads: SlowReads | None = None
    second_stage: SecondStage | None = None
    debug_port: DebugPort | None = None
    peripheral: tuple[Peripheral, ...] = ()
    cycle_error: str = ""


@dataclass(frozen=True)
class Console:
    """The serial port that a person sees when the board is plugged in.

    Attributes:
        peripheral: the UART, or "USB-CDC" where the chip itself is the serial port.
        baud: as firmware sets it up; 8N1.
        source: the document.
        tx: the pin that the chip sends on, as the chip's documents name it: "PD8", "P0.06", "GP0".
        rx: the pin that it receives on.
        alternate_function: of both pins, on chips whose pins have numbered functions.
    """

    peripheral: str
    baud: int
    source: str
    tx: str = ""
    rx: str = ""
    alternate_function: int = -1


@dataclass(frozen=True)
class WindowPin:
    """A pin that firmware pulses at both edges of the window of timed inferences, for energy meters.

    Attributes:
        pin: as the chip's documents name it.
        title: what is printed beside it on the board.
        source: the document.
    """

    pin: str
    title: str
    source: str


Tried = Literal["no", "built", "qemu", "virtual", "silicon"]
"""How far firmware has been tried."""


NO_CONSOLE = Console("", 0, "")
"""Of computers and phones."""


@dataclass(frozen=True)
class UsbId:
    """What the board's debug probe (or the board) calls itself on USB.

    Attributes:
        vendor_id: 16 bits.
        product_id: 16 bits.
        title: what it is.
        source: where the numbers are listed.
    """

    vendor_id: int
    product_id: int
    title: str
    source: str


@dataclass(frozen=True)
class FlashMethod:
    """A way to get a program onto the device, whether or not edgeq has a runner for it.

    Attributes:
        method: its name.
        how: what a person has to do for it, in a sentence.
        source: the document.
        vendor_id: the USB id that the device shows while it waits to be programmed; 0 = see `usb`.
        product_id: the same.
        drive_label: volume label of the drive that takes the file.
        uf2_family_id: the family that a UF2 file must name.
        touch_baud: opening the port at this speed and closing it starts the bootloader.
        first_address: where the image is written, -1 = at the start of flash.
        machine: QEMU's `-machine`.
    """

    method: Literal[
        "stlink-drive", "daplink-drive", "swd", "jlink", "uf2", "bossac", "dfu", "stm32-uart", "jlink-drive",
        "qemu", "ssh", "adb",
    ]  # fmt: skip
    how: str
    source: str
    vendor_id: int = 0
    product_id: int = 0
    drive_label: str = ""
    uf2_family_id: int = 0
    touch_baud: int = 0
    first_address: int = -1
    machine: str = ""


@dataclass(frozen=True)
class Power:
    """Electrical power while inferring. Left out where nobody has published a figure.

    Attributes:
        active_mw: mean power in milliwatts at `clock_hz` and `supply_v`.
        clock_hz: at which it was measured.
        supply_v: at which it was measured.
        tolerance_percent: how far single networks lie from it.
        source: the measurement.
    """

    active_mw: float
    clock_hz: int
    supply_v: float
    tolerance_percent: float
    source: str


@dataclass(frozen=True)
class System:
    """What a program finds on a computer or phone.

    Attributes:
        os: "linux" or "android".
        abi: of programs, such as "arm64-v8a" or "aarch64-linux-gnu".
        ram_bytes: all there is; of several variants, the smallest.
        app_ram_bytes: what one program can count on.
        app_ram_estimated: whether that is an estimate rather than a documented limit.
        app_ram_source: how it came about.
        source: of the rest.
        os_version: the version that the device is sold with, or the oldest supported.
        model_pattern: a regular expression for all of what the device calls itself: /proc/device-tree/model, or
            Android's ro.product.manufacturer and ro.product.model. "" where any will do.
    """

    os: Literal["linux", "android"]
    abi: str
    ram_bytes: int
    app_ram_bytes: int
    app_ram_estimated: bool
    app_ram_source: str
    source: str
    os_version: str = ""
    model_pattern: str = ""


@dataclass(frozen=True)
class Delegate:
    """An accelerator, or a library of fast kernels, that a runtime can hand operators to.

    Attributes:
        name: "xnnpack", "gpu", or the vendor's name of its NPU delegate.
        title: what it runs on.
        source: the document.
    """

    name: str
    title: str
    source: str


@dataclass(frozen=True)
class Board:
    """A target: a file of `boards/`, `linux/` or `phones/`.

    Attributes:
        name: the file's name; `--target` takes it.
        title: as people write it.
        soc: a file of `socs/`.
        source: the user manual or product page.
        kind: what it is.
        clock_hz: the clock that firmware sets up; microcontrollers only.
        console: the serial port; microcontrollers only.
        runners: edgeq's runners that can flash it, best first (`edgeq doctor` lists all); "virtual" = it has a
            virtual board.
        flash_method: the ways there are, best first.
        memory: memories beside the chip; they come after the chip's.
        reserved: what is not the application's.
        usb: how to find its serial port.
        power: while inferring.
        system: computers and phones only.
        delegate: computers and phones only.
        runtimes: what can run a .tflite there, best first: "edgeq", or a file of `targets/runtimes/`.
        window_pin: what an energy meter can watch.
        firmware_tried: how far edgeq's firmware for it has been tried: "no" = there is none, "built" = by both
            compilers, "qemu" and "virtual" = the very image has run in QEMU or on edgeq's virtual board, "silicon" = on
            the board.
        drive_label: volume label of the drive that its ST-Link shows, "" if none.
        url: where to read more.
    """

    name: str
    title: str
    soc: str
    source: str
    kind: Kind = "microcontroller"
    clock_hz: int = 0
    console: Console = NO_CONSOLE
    runners: tuple[str, ...] = ()
    flash_method: tuple[FlashMethod, ...] = ()
    memory: tuple[Memory, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    usb: tuple[UsbId, ...] = ()
    power: Power | None = None
    system: System | None = None
    delegate: tuple[Delegate, ...] = ()
    runtimes: tuple[str, ...] = (OWN_ENGINE,)
    window_pin: WindowPin | None = None
    firmware_tried: Tried = "no"
    drive_label: str = ""
    url: str = ""
