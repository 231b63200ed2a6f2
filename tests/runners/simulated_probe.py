"""A debug probe for pyOCD with a simulated STM32F429 behind it.

pyOCD itself is the real one: it walks the ROM table, loads its own flash algorithm into RAM and runs it. The
algorithm runs in Unicorn against a model of the flash controller (ST RM0090 section 3.9), where programming
can only clear bits and needs the unlock sequence. `dead` makes a controller that accepts everything and
writes nothing, as a chip with a broken supply or a wrong algorithm does.
"""

from __future__ import annotations

import struct
from typing import Any

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe
from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, UcError
from unicorn import arm_const as arm

FLASH_BASE, FLASH_BYTES = 0x0800_0000, 0x20_0000
RAM_BASE, RAM_BYTES = 0x2000_0000, 0x4_0000
CONTROLLER_BASE = 0x4002_3C00
PERIPHERALS_BASE, PERIPHERALS_BYTES = 0x4000_0000, 0x8_0000
SECTOR_BYTES = (*(0x4000,) * 4, 0x1_0000, *(0x2_0000,) * 7)
# Debug registers of the Armv7-M Architecture Reference Manual, C1.6 and B3.2.
DHCSR, DCRSR, DCRDR, DEMCR, AIRCR = 0xE000_EDF0, 0xE000_EDF4, 0xE000_EDF8, 0xE000_EDFC, 0xE000_ED0C
CPUID = 0xE000_ED00
ROM_TABLE = 0xE00F_F000
REGISTERS = (*(getattr(arm, f"UC_ARM_REG_R{i}") for i in range(13)), arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR)
BREAKPOINT_EXCEPTION = 7


class FlashController:
    """The F4's flash interface: KEYR, SR, CR; and the cells."""

    def __init__(self) -> None:
        self.cells = bytearray(b"\xff" * FLASH_BYTES)
        self.dead = False
        self._locked = True
        self._keys: list[int] = []
        self._control = 0

    def read(self, offset: int) -> int:
        """A register."""
        return {0x10: self._control | (self._locked << 31)}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register."""
        if offset == 0x04:
            self._keys = [*self._keys[-1:], value]
            if self._keys == [0x4567_0123, 0xCDEF_89AB]:
                self._locked = False
        elif offset == 0x10 and not self._locked:
            self._locked = bool(value >> 31)
            self._control = value & ~(1 << 16) & 0x7FFF_FFFF
            if value & (1 << 16):
                self._erase(value)

    def _erase(self, control: int) -> None:
        if self.dead:
            return
        if control & (1 << 2):
            self.cells[:] = b"\xff" * FLASH_BYTES
        elif control & (1 << 1):
            number = (control >> 3) & 0x1F
            start = (FLASH_BYTES // 2 if number & 0x10 else 0) + sum(SECTOR_BYTES[: number & 0xF])
            size = SECTOR_BYTES[number & 0xF]
            self.cells[start : start + size] = b"\xff" * size

    def program(self, offset: int, size: int, value: int) -> None:
        """A store into the flash's address range: bits can only be cleared, and only with CR.PG set."""
        if self._control & 1 and not self.dead:
            for i, byte in enumerate(value.to_bytes(size, "little")):
                self.cells[offset + i] &= byte


class Chip:
    """Core, RAM, flash and debug registers as seen through the memory access port."""

    def __init__(self) -> None:
        self.flash = FlashController()
        self.resets = 0
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._uc.mem_map(RAM_BASE, RAM_BYTES)
        self._uc.mmio_map(
            FLASH_BASE,
            FLASH_BYTES,
            lambda _uc, at, size, _: int.from_bytes(self.flash.cells[at : at + size], "little"),
            None,
            lambda _uc, at, size, value, _: self.flash.program(at, size, value),
            None,
        )
        self._uc.mmio_map(
            PERIPHERALS_BASE,
            PERIPHERALS_BYTES,
            lambda _uc, at, _size, _: self._peripheral_read(PERIPHERALS_BASE + at),
            None,
            lambda _uc, at, _size, value, _: self._peripheral_write(PERIPHERALS_BASE + at, value),
            None,
        )
        self._uc.hook_add(UC_HOOK_INTR, self._interrupt)
        self._exception = 0
        self._pc = 0
        self._halted = False
        self._sticky_reset = True
        self._debug: dict[int, int] = {DHCSR: 0, DEMCR: 0, DCRDR: 0}
        self._special: dict[int, int] = {}

    def reset(self) -> None:
        """What nRESET and SYSRESETREQ do."""
        self.resets += 1
        self._sticky_reset = True
        stack, self._pc = struct.unpack_from("<II", self.flash.cells)
        self._uc.reg_write(arm.UC_ARM_REG_SP, stack)
        self._uc.reg_write(arm.UC_ARM_REG_XPSR, 1 << 24)
        self._halted = bool(self._debug[DEMCR] & 1 and self._debug[DHCSR] & 1)

    def read(self, address: int, size: int) -> int:
        """A read over the bus."""
        if address >= 0xE000_0000:
            return (self._debug_read(address & ~3) >> (8 * (address & 3))) & ((1 << 8 * size) - 1)
        if FLASH_BASE <= address < FLASH_BASE + FLASH_BYTES:
            at = address - FLASH_BASE
            return int.from_bytes(self.flash.cells[at : at + size], "little")
        if PERIPHERALS_BASE <= address < PERIPHERALS_BASE + PERIPHERALS_BYTES:
            return self._peripheral_read(address)
        try:
            return int.from_bytes(self._uc.mem_read(address, size), "little")
        except UcError as fault:
            raise exceptions.TransferFaultError(fault_address=address) from fault

    def write(self, address: int, value: int, size: int) -> None:
        """A write over the bus."""
        value &= (1 << 8 * size) - 1
        if address >= 0xE000_0000:
            self._debug_write(address, value)
        elif FLASH_BASE <= address < FLASH_BASE + FLASH_BYTES:
            self.flash.program(address - FLASH_BASE, size, value)
        elif PERIPHERALS_BASE <= address < PERIPHERALS_BASE + PERIPHERALS_BYTES:
            self._peripheral_write(address, value)
        else:
            try:
                self._uc.mem_write(address, value.to_bytes(size, "little"))
            except UcError as fault:
                raise exceptions.TransferFaultError(fault_address=address) from fault

    def _peripheral_read(self, address: int) -> int:
        return self.flash.read(address - CONTROLLER_BASE) if CONTROLLER_BASE <= address < CONTROLLER_BASE + 0x400 else 0

    def _peripheral_write(self, address: int, value: int) -> None:
        if CONTROLLER_BASE <= address < CONTROLLER_BASE + 0x400:
            self.flash.write(address - CONTROLLER_BASE, value)

    def _interrupt(self, uc: Uc, number: int, _: object) -> None:
        self._exception = number
        uc.emu_stop()

    def _run(self) -> None:
        """Run until a breakpoint. Only code in RAM is run: the flash algorithm; the firmware is not."""
        self._halted = False
        if not RAM_BASE <= self._pc < RAM_BASE + RAM_BYTES:
            return
        self._exception = 0
        self._uc.emu_start(self._pc | 1, 0xFFFF_FFFE, count=50_000_000)
        self._pc = self._uc.reg_read(arm.UC_ARM_REG_PC) & ~1
        self._halted = self._exception == BREAKPOINT_EXCEPTION

    def _debug_read(self, address: int) -> int:
        if address == DHCSR:
            status = self._debug[DHCSR] | 1 << 16 | self._halted << 17 | 1 << 24 | self._sticky_reset << 25
            self._sticky_reset = False
            return status
        if address == CPUID:
            return 0x410F_C241
        if address & ~0xFFF == ROM_TABLE and address - ROM_TABLE < 8:
            # One component, the System Control Space; then the end of the table.
            return (0xE000_E000 - ROM_TABLE + 3) & 0xFFFF_FFFF if address == ROM_TABLE else 0
        return self._debug.get(address, _component_id(address))

    def _debug_write(self, address: int, value: int) -> None:
        if address == DHCSR:
            if value >> 16 == 0xA05F:
                self._debug[DHCSR] = value & 0x2F
                if value & 2:
                    self._halted = True
                elif self._halted:
                    self._run()
        elif address == DCRSR:
            self._core_register(value & 0x7F, bool(value & 1 << 16))
        elif address == AIRCR:
            if value >> 16 == 0x5FA and value & 5:
                self.reset()
        else:
            self._debug[address] = value

    def _core_register(self, number: int, writing: bool) -> None:
        value = self._debug[DCRDR]
        if number == 15:
            self._pc, value = (value & ~1, value) if writing else (self._pc, self._pc)
        elif number < 15 or number in (16, 17):
            register = {16: arm.UC_ARM_REG_XPSR, 17: arm.UC_ARM_REG_MSP}.get(number) or REGISTERS[number]
            if writing:
                self._uc.reg_write(register, value)
            value = self._uc.reg_read(register) & 0xFFFF_FFFF
        elif writing:
            self._special[number] = value
        else:
            value = self._special.get(number, 0)
        self._debug[DCRDR] = value


def _component_id(address: int) -> int:
    """CoreSight identification registers of the ROM table and the Cortex-M4's System Control Space."""
    page, offset = address & ~0xFFF, address & 0xFFF
    kinds = {ROM_TABLE: (0x1, 0x4C4), 0xE000_E000: (0xE, 0x00C)}
    if page not in kinds or offset < 0xFD0:
        return 0
    kind, part = kinds[page]
    return {
        0xFD0: 4, 0xFE0: part & 0xFF, 0xFE4: 0xB0 | part >> 8, 0xFE8: 0x0B,
        0xFF0: 0x0D, 0xFF4: kind << 4, 0xFF8: 5, 0xFFC: 0xB1,
    }.get(offset, 0)  # fmt: skip


class SimulatedProbe(DebugProbe):
    """The probe: a debug port with one AHB access port."""

    connected: list[SimulatedProbe] = []  # noqa: RUF012 - pyOCD asks the class

    @classmethod
    def get_all_connected_probes(cls, unique_id: str | None = None, is_explicit: bool = False) -> list[Any]:
        return list(cls.connected)

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> Any:
        return next((p for p in cls.connected if p.unique_id == unique_id), None)

    def __init__(self, unique_id: str = "SIM-F429") -> None:
        super().__init__()
        self.chip = Chip()
        self.answering = True
        self.accesses = 0
        self.unplug_after = 0  # so many accesses; 0 = never
        self.unplugged_says: Exception = OSError(19, "No such device")
        self._id = unique_id
        self._is_open = False
        self._protocol: Any = None
        self._select = 0
        self._power = 0
        self._control_word = 0x0300_0042
        self._address = 0

    vendor_name = "edgeq"
    product_name = "simulated probe"
    supported_wire_protocols = (DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD)

    @property
    def unique_id(self) -> str:
        return self._id

    @property
    def wire_protocol(self) -> Any:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def capabilities(self) -> set[Any]:
        return {self.Capability.SWJ_SEQUENCE, self.Capability.BANKED_DP_REGISTERS}

    def open(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    def connect(self, protocol: Any = None) -> None:
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def swj_sequence(self, length: int, bits: int) -> None:
        pass

    def set_clock(self, frequency: float) -> None:
        pass

    def reset(self) -> None:
        self.chip.reset()

    def assert_reset(self, asserted: bool) -> None:
        if asserted:
            self.chip.reset()

    def is_reset_asserted(self) -> bool:
        return False

    def read_dp(self, addr: int, now: bool = True) -> Any:
        self._plugged_in()
        if not self.answering:
            raise exceptions.TransferError("No ACK received")
        banked = self._select & 0xF
        value = {0x0: 0x2BA0_1477, 0x4: 0 if banked else self._power | (self._power & 0x5000_0000) << 1}.get(
            addr & 0xC, 0
        )
        return value if now else lambda: value

    def _plugged_in(self) -> None:
        self.accesses += 1
        if self.unplug_after and self.accesses > self.unplug_after:
            raise self.unplugged_says

    def write_dp(self, addr: int, data: int) -> None:
        self._plugged_in()
        if addr & 0xC == 0x4 and not self._select & 0xF:
            self._power = data & 0x5000_000E
        elif addr & 0xC == 0x8:
            self._select = data

    def read_ap(self, addr: int, now: bool = True) -> Any:
        value = self._access(addr, None)
        return value if now else lambda: value

    def write_ap(self, addr: int, data: int) -> None:
        self._access(addr, data)

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        values = [self._access(addr, None) for _ in range(count)]
        return values if now else lambda: values

    def write_ap_multiple(self, addr: int, values: list[int]) -> None:
        for value in values:
            self._access(addr, value)

    def _access(self, addr: int, value: int | None) -> int:
        """A register of the access port (Arm IHI 0031, MEM-AP); a write when `value` is given."""
        self._plugged_in()
        register = (self._select & 0xF0) | (addr & 0xC)
        if self._select >> 24:
            return 0  # there is only access port 0
        if register == 0x00:
            if value is not None:
                self._control_word = value & ~0xC0 | 0x40
            return self._control_word
        if register == 0x04:
            if value is not None:
                self._address = value
            return self._address
        if register == 0x0C or 0x10 <= register <= 0x1C:
            return self._transfer(register, value)
        return {0xFC: 0x2477_0011, 0xF8: ROM_TABLE | 3}.get(register, 0)

    def _transfer(self, register: int, value: int | None) -> int:
        size = 1 << (self._control_word & 7)
        address = self._address if register == 0x0C else (self._address & ~0xF) | (register - 0x10)
        lane = 8 * (address & 3)
        result = 0
        if value is None:
            result = self.chip.read(address, size) << lane
        else:
            self.chip.write(address, value >> lane, size)
        if register == 0x0C and self._control_word & 0x30:
            self._address = (address & ~0xFFF) | ((address + size) & 0xFFF)
        return result
