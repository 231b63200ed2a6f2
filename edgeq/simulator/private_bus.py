"""The core's own registers at 0xE000_0000: SCB, NVIC, SysTick, DWT, debug. Armv7-M ARM (DDI 0403), B3 and C1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgeq.simulator import coresight, debug
from edgeq.simulator import nvic as n
from edgeq.simulator.debug import DebugState
from edgeq.simulator.nvic import Nvic

BASE, SIZE = 0xE000_0000, 0x10_0000
NEVER = (1 << 63) - 1
_DWT_CTRL, _CYCCNT = 0xE000_1000, 0xE000_1004
_SYST_CSR, _SYST_RVR, _SYST_CVR, _SYST_CALIB = 0xE000_E010, 0xE000_E014, 0xE000_E018, 0xE000_E01C
_ICTR, _CPUID, _ICSR, VTOR, _AIRCR = 0xE000_E004, 0xE000_ED00, 0xE000_ED04, 0xE000_ED08, 0xE000_ED0C
SCR, CCR, _SHCSR, CFSR, HFSR = 0xE000_ED10, 0xE000_ED14, 0xE000_ED24, 0xE000_ED28, 0xE000_ED2C
BFAR, CPACR, _STIR = 0xE000_ED38, 0xE000_ED88, 0xE000_EF00
_RESET = {
    _DWT_CTRL: 0x4000_0000,
    _CPUID: 0x410F_C241,
    CCR: 0x200,
    0xE000_EF34: 0xC000_0000,
    0xE000_EF40: 0x1011_0021,
    0xE000_EF44: 0x1100_0011,
}
_FAULT_ENABLES = ((16, n.MEMORY_FAULT), (17, n.BUS_FAULT), (18, n.USAGE_FAULT))
_FAULT_PENDING = ((12, n.USAGE_FAULT), (13, n.MEMORY_FAULT), (14, n.BUS_FAULT), (15, n.SVC))


@dataclass(frozen=True)
class CoreSignals:
    """How these registers reach the core."""

    now: Callable[[], int]
    look_again: Callable[[], None]
    reset: Callable[[], None]
    fpu: Callable[[bool], None]


class PrivateBus:
    """Registers by absolute address."""

    def __init__(self, controller: Nvic, debugging: DebugState, signals: CoreSignals) -> None:
        self.nvic = controller
        self.debug = debugging
        self.signals = signals
        self.reset()

    def reset(self) -> None:
        """As after a system reset."""
        self.words: dict[int, int] = dict(_RESET)
        self._cycle_base = 0
        self._tick_base = 0
        self._tick_done = 0
        self._tick_flag = False
        self.signals.fpu(False)

    # SysTick

    def _tick_on(self) -> bool:
        return bool(self.words.get(_SYST_CSR, 0) & 1) and self.words.get(_SYST_RVR, 0) > 0

    def _tick_scale(self) -> int:
        return 1 if self.words.get(_SYST_CSR, 0) & 4 else 8

    def _tick_period(self) -> int:
        return (self.words.get(_SYST_RVR, 0) + 1) * self._tick_scale()

    def next_event(self) -> int:
        """The next SysTick interrupt."""
        if not self._tick_on() or not self.words.get(_SYST_CSR, 0) & 2:
            return NEVER
        return self._tick_base + (self._tick_done + 1) * self._tick_period()

    def advance(self, now: int) -> None:
        """SysTick may have wrapped."""
        if self._tick_on():
            wraps = (now - self._tick_base) // self._tick_period()
            if wraps > self._tick_done:
                self._tick_done = wraps
                self._tick_flag = True
                if self.words.get(_SYST_CSR, 0) & 2:
                    self.nvic.pending.add(n.SYSTICK)

    # Reads

    def read(self, address: int, size: int) -> int:
        """A read of 1, 2 or 4 bytes."""
        word = self._load(address & ~3)
        return word >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def _load(self, address: int) -> int:
        if address == _CYCCNT:
            return self._cycle_count()
        if 0xE000_E100 <= address < 0xE000_E400:
            return self._load_lines(address)
        if 0xE000_E400 <= address < 0xE000_E7F0:
            first = n.FIRST_IRQ + address - 0xE000_E400
            return self._priorities(first)
        if 0xE000_ED18 <= address < 0xE000_ED24:
            return self._priorities(4 + address - 0xE000_ED18)
        return self._load_system(address)

    def _load_system(self, address: int) -> int:
        if address == _SYST_CSR:
            self.advance(self.signals.now())
            value = self.words.get(address, 0) | (1 << 16 if self._tick_flag else 0)
            self._tick_flag = False
            return value
        if address == _SYST_CVR:
            if not self._tick_on():
                return 0
            reload = self.words.get(_SYST_RVR, 0)
            return reload - (self.signals.now() - self._tick_base) // self._tick_scale() % (reload + 1)
        if address == _ICSR:
            active = self.nvic.active[-1] if self.nvic.active else 0
            waiting = self.nvic.waiting()
            value = active | waiting << 12 | (1 << 22 if waiting >= n.FIRST_IRQ else 0)
            value |= 1 << 28 if n.PENDSV in self.nvic.pending else 0
            return value | (1 << 26 if n.SYSTICK in self.nvic.pending else 0)
        if address == _AIRCR:
            return 0xFA05_0000 | self.words.get(_AIRCR, 0) & 0x700
        if address == _SHCSR:
            value = sum(1 << bit for bit, number in _FAULT_ENABLES if number in self.nvic.enabled)
            return value | sum(1 << bit for bit, number in _FAULT_PENDING if number in self.nvic.pending)
        if address == _ICTR:
            return (self.nvic.count - n.FIRST_IRQ - 1) // 32
        if address in (debug.DHCSR, debug.DEMCR, debug.DFSR):
            return self._load_debug(address)
        return self.words.get(address) or coresight.identification(address)

    def _load_debug(self, address: int) -> int:
        if address == debug.DHCSR:
            return self.debug.status(asleep=False)
        return self.debug.catches if address == debug.DEMCR else self.debug.events

    def _cycle_count(self) -> int:
        if self._counting():
            return self.signals.now() - self._cycle_base & 0xFFFF_FFFF
        return self.words.get(_CYCCNT, 0)

    def _counting(self) -> bool:
        return bool(self.words.get(_DWT_CTRL, 0) & 1 and self.debug.catches & debug.TRCENA)

    def _load_lines(self, address: int) -> int:
        bank, first = address - 0xE000_E100 >> 7, n.FIRST_IRQ + (address & 0x7F) * 8
        source: set[int] = self.nvic.enabled
        if bank in (2, 3):
            source = self.nvic.pending | self.nvic.asserted
        elif bank == 4:
            source = set(self.nvic.active)
        return sum(1 << bit for bit in range(32) if first + bit in source)

    def _priorities(self, first: int) -> int:
        return sum(self.nvic.priority[first + i] << 8 * i for i in range(4) if first + i < self.nvic.count)

    # Writes

    def write(self, address: int, size: int, value: int) -> None:
        """A write of 1, 2 or 4 bytes."""
        if 0xE000_E400 <= address < 0xE000_E7F0 or 0xE000_ED18 <= address < 0xE000_ED24:
            first = address - 0xE000_E400 + n.FIRST_IRQ if address < 0xE000_ED18 else address - 0xE000_ED18 + 4
            for i in range(size):
                if first + i < self.nvic.count:
                    self.nvic.set_priority(first + i, value >> 8 * i & 0xFF)
            self.signals.look_again()
            return
        if size < 4:
            shift, mask = 8 * (address & 3), (1 << 8 * size) - 1
            value = self.words.get(address & ~3, 0) & ~(mask << shift) | (value & mask) << shift
        self._store(address & ~3, value & 0xFFFF_FFFF)

    def _store(self, address: int, value: int) -> None:
        if 0xE000_E100 <= address < 0xE000_E300:
            self._store_lines(address, value)
        elif address in (_DWT_CTRL, debug.DEMCR, _CYCCNT):
            count = self._cycle_count()
            if address == debug.DEMCR:
                self.debug.catches = value
            else:
                self.words[address] = value
            self.words[_CYCCNT] = value if address == _CYCCNT else count
            self._cycle_base = self.signals.now() - self.words[_CYCCNT]
        elif address in (_SYST_CSR, _SYST_RVR, _SYST_CVR):
            self._store_tick(address, value)
        else:
            self._store_system(address, value)

    def _store_tick(self, address: int, value: int) -> None:
        was_on = self._tick_on()
        if address == _SYST_CVR:
            self._tick_flag = False
        else:
            self.words[address] = value & (7 if address == _SYST_CSR else 0xFF_FFFF)
        if address == _SYST_CVR or (self._tick_on() and not was_on):
            self._tick_base, self._tick_done = self.signals.now(), 0
        self.signals.look_again()

    def _store_lines(self, address: int, value: int) -> None:
        bank, first = address - 0xE000_E100 >> 7, n.FIRST_IRQ + (address & 0x7F) * 8
        lines = {first + bit for bit in range(32) if value >> bit & 1 and first + bit < self.nvic.count}
        target = self.nvic.enabled if bank < 2 else self.nvic.pending
        if bank in (0, 2):
            target |= lines
        else:
            target -= lines
        self.signals.look_again()

    def _store_system(self, address: int, value: int) -> None:
        if address == _ICSR:
            for bit, number, pend in (
                (31, n.NMI, True), (28, n.PENDSV, True), (27, n.PENDSV, False),
                (26, n.SYSTICK, True), (25, n.SYSTICK, False),
            ):  # fmt: skip
                if value >> bit & 1:
                    (self.nvic.pending.add if pend else self.nvic.pending.discard)(number)
        elif address == _AIRCR:
            if value >> 16 == 0x05FA:
                self.words[_AIRCR] = value & 0x700
                self.nvic.group_shift = (value >> 8 & 7) + 1
                if value & 4:
                    self.signals.reset()
        elif address == _SHCSR:
            for bit, number in _FAULT_ENABLES:
                (self.nvic.enabled.add if value >> bit & 1 else self.nvic.enabled.discard)(number)
        elif address in (CFSR, HFSR):
            self.words[address] = self.words.get(address, 0) & ~value
        elif address == debug.DFSR:
            self.debug.events &= ~value
        elif address in (debug.DHCSR, debug.DCRSR, debug.DCRDR, coresight.FPB):
            pass  # a debugger's alone, which doesn't come this way; FP_CTRL: no comparators
        elif address == _STIR:
            self.nvic.pending.add(n.FIRST_IRQ + (value & 0x1FF))
        elif address != _CPUID:
            self.words[address] = value
            if address == CPACR:
                self.signals.fpu(value >> 20 & 15 == 15)
        self.signals.look_again()
