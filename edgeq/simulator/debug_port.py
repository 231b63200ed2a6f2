"""The chip's end of the debug wire: debug port and access ports. Arm Debug Interface v5.2 (IHI 0031), chapters B2, C2.

Registers are named by their address and, where several share one, by the bank that SELECT chooses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from edgeq.errors import UnsupportedError
from edgeq.simulator.bus import UnansweredError
from edgeq.simulator.debugger import Debugger
from edgeq.simulator.peripherals.device import Programming
from edgeq.target import AccessPort, DebugPort

_CTRL_STAT, _SELECT = 0x4, 0x8
_ABORT, _DPIDR = 0x0, 0x0
_POWER_REQUESTS = 1 << 28 | 1 << 30
_STICKY_ERROR, _CLEAR_STICKY_ERROR = 1 << 5, 1 << 2
_CSW, _TAR, _DRW, _BD0, _BASE, _IDR = 0x00, 0x04, 0x0C, 0x10, 0xF8, 0xFC
_SIZE, _INCREMENT, _DEVICE_ENABLED, _IN_PROGRESS = 7, 3 << 4, 1 << 6, 1 << 7
# Addresses are incremented within a block of this size. The specification grants 1 KB (section C2.2.2); the AHB-AP of
# Cortex-M3 and M4 does 4 KB, and pyOCD, which knows it by its IDR, relies on that.
_WRAP_BYTES = 0x1000
_PRESENT_32_BITS = 3


class WireError(Exception):
    """The chip answers FAULT, and does so until the sticky error is cleared."""

    def __init__(self, address: int | None = None) -> None:
        super().__init__("no answer" if address is None else f"0x{address:08X}")
        self.address = address


class Port(Protocol):
    """An access port."""

    def read(self, register: int) -> int:
        """A register, bank included; WireError where that is not possible."""

    def write(self, register: int, value: int) -> None:
        """The same."""


class MemoryPort:
    """A MEM-AP on the core's bus: everything that the core reaches, and its debug registers."""

    def __init__(self, facts: AccessPort, debugger: Debugger, locked: CtrlPort | None) -> None:
        self._facts, self._debugger, self._locked = facts, debugger, locked
        self._control = 2  # words
        self._address = 0

    def read(self, register: int) -> int:
        """IDR is 0 while the port is locked away."""
        if self._locked is not None and self._locked.protected():
            return 0
        if register == _IDR:
            return self._facts.id
        if register == _BASE:
            return self._facts.rom_table | _PRESENT_32_BITS
        if register == _CSW:
            return self._control | _DEVICE_ENABLED
        if register == _TAR:
            return self._address
        if register == _DRW or _BD0 <= register < _BD0 + 16:
            address, size = self._next(register)
            return self._debugger.read(address, size) << 8 * (address & 3 if size < 4 else 0)
        return 0

    def write(self, register: int, value: int) -> None:
        """Nothing is written while the port is locked away."""
        if self._locked is not None and self._locked.protected():
            return
        if register == _CSW:
            single = value & _INCREMENT and 1 << 4  # packed transfers aren't there
            self._control = value & ~(_DEVICE_ENABLED | _IN_PROGRESS | _INCREMENT) | single
            self._control = self._control if self._control & _SIZE <= 2 else self._control & ~_SIZE | 2
        elif register == _TAR:
            self._address = value
        elif register == _DRW or _BD0 <= register < _BD0 + 16:
            address, size = self._next(register)
            shift = 8 * (address & 3) if size < 4 else 0
            self._debugger.write(address, size, value >> shift & (1 << 8 * size) - 1)

    def _next(self, register: int) -> tuple[int, int]:
        size = 1 << (self._control & _SIZE)
        if register != _DRW:
            return self._address & ~0xF | register - _BD0, 4
        address = self._address & ~(size - 1)
        if self._control & _INCREMENT:
            self._address = address & ~(_WRAP_BYTES - 1) | address + size & _WRAP_BYTES - 1
        return address, size

    def words(self, count: int) -> tuple[int, int]:
        """How many of `count` words a run of transfers moves as plain memory, and from where; 0 = one by one."""
        debugger, address = self._debugger, self._address
        plain = self._control & (_SIZE | _INCREMENT) == 2 | 1 << 4 and address % 4 == 0
        if not plain or debugger.board.bus.answers(address) or (self._locked and self._locked.protected()):
            return 0, address
        return min(count, (_WRAP_BYTES - address % _WRAP_BYTES) // 4), address

    def advance(self, words: int) -> None:
        """They have been moved."""
        address = self._address
        self._address = address & ~(_WRAP_BYTES - 1) | address + 4 * words & _WRAP_BYTES - 1


class CtrlPort:
    """The nRF52's CTRL-AP: reset, and the only way into a chip that is protected, which erases it.

    nRF52840 Product Specification, chapters "Debug and trace" (CTRL-AP) and UICR (APPROTECT).
    """

    _RESET, _ERASEALL, _ERASEALLSTATUS, _APPROTECTSTATUS = 0x00, 0x04, 0x08, 0x0C

    def __init__(self, facts: AccessPort, debugger: Debugger) -> None:
        self._facts, self._debugger = facts, debugger
        self._resets = -1
        self._protected = False

    def protected(self) -> bool:
        """As the protection word said at the last reset, or after the chip was erased."""
        resets = self._debugger.board.debug.resets
        if resets != self._resets:
            self._resets, self._protected = resets, self._is_set()
        return self._protected

    def lock(self) -> None:
        """Write the protection word, and reset."""
        engine = self._debugger.board.engine
        engine.open_flash((), Programming())
        engine.program(self._facts.protection_word, 4, 0xFFFF_FF00)
        engine.open_flash((), None)
        self._debugger.board.reset()

    def _is_set(self) -> bool:
        word = self._debugger.read_block(self._facts.protection_word, 4)
        return word[0] == 0

    def read(self, register: int) -> int:
        """Erasing takes no time."""
        if register == _IDR:
            return self._facts.id
        if register == self._APPROTECTSTATUS:
            return int(not self.protected())
        return int(self._debugger.board.debug.held) if register == self._RESET else 0

    def write(self, register: int, value: int) -> None:
        """RESET and ERASEALL."""
        if register == self._RESET:
            self._debugger.hold_reset(bool(value & 1))
        elif register == self._ERASEALL and value & 1:
            self.protected()
            self._debugger.board.erase()
            self._protected = self._is_set()


class DebugWire:
    """Debug port and access ports of a board, as a probe talks to them."""

    def __init__(self, facts: DebugPort, debugger: Debugger) -> None:
        self._facts = facts
        self.debugger = debugger
        self._ctrl = ctrl = next((CtrlPort(p, debugger) for p in facts.access_port if p.kind == "nrf-ctrl"), None)
        self._ports: dict[int, Port] = {}
        for port in facts.access_port:
            made: Port | None = MemoryPort(port, debugger, ctrl) if port.kind == "memory" else ctrl
            if made is not None:
                self._ports[port.number] = made
        self._control = 0
        self._selected = 0
        self._error = False

    def lock(self) -> None:
        """Protect the chip against debugging, as if its firmware had done so before.

        Raises:
            UnsupportedError: it has no such protection.
        """
        if self._ctrl is None:
            raise UnsupportedError("this chip has no lock that its virtual board knows", next_step="drop ?chip=locked")
        self._ctrl.lock()

    def read_dp(self, address: int) -> int:
        """A register of the debug port."""
        if address == _DPIDR:
            return self._facts.id
        if address == _CTRL_STAT and not self._selected & 0xF:
            powered = (self._control & _POWER_REQUESTS) << 1
            return self._control | powered | (_STICKY_ERROR if self._error else 0)
        return 0

    def write_dp(self, address: int, value: int) -> None:
        """The same."""
        if address == _ABORT and value & _CLEAR_STICKY_ERROR:
            self._error = False
        elif address == _CTRL_STAT and not self._selected & 0xF:
            self._control = value & (_POWER_REQUESTS | 0xF0E)
        elif address == _SELECT:
            self._selected = value

    def read_ap(self, address: int) -> int:
        """A register of the access port that SELECT names.

        Raises:
            WireError: what it reads from doesn't answer, or hadn't before.
        """
        port = self._port()
        try:
            return port.read(self._selected & 0xF0 | address & 0xC) if port is not None else 0
        except UnansweredError as failed:
            raise self._failed(failed) from failed

    def write_ap(self, address: int, value: int) -> None:
        """The same."""
        port = self._port()
        try:
            if port is not None:
                port.write(self._selected & 0xF0 | address & 0xC, value)
        except UnansweredError as failed:
            raise self._failed(failed) from failed

    def read_ap_several(self, address: int, count: int) -> list[int]:
        """The same register so many times: words of memory, mostly."""
        read: list[int] = []
        while len(read) < count:
            port = self._memory_port(address)
            words, start = port.words(count - len(read)) if port is not None else (0, 0)
            if port is None or words < 2:
                read.append(self.read_ap(address))
                continue
            try:
                block = self.debugger.read_block(start, 4 * words)
            except UnansweredError as failed:
                raise self._failed(failed) from failed
            port.advance(words)
            read += [int.from_bytes(block[i : i + 4], "little") for i in range(0, len(block), 4)]
        return read

    def write_ap_several(self, address: int, values: Iterable[int]) -> None:
        """The same."""
        left = list(values)
        while left:
            port = self._memory_port(address)
            words, start = port.words(len(left)) if port is not None else (0, 0)
            if port is None or words < 2:
                self.write_ap(address, left.pop(0))
                continue
            block = b"".join(value.to_bytes(4, "little") for value in left[:words])
            try:
                self.debugger.write_block(start, block)
            except UnansweredError as failed:
                raise self._failed(failed) from failed
            port.advance(words)
            del left[:words]

    def _memory_port(self, address: int) -> MemoryPort | None:
        port = self._port()
        is_data = (self._selected & 0xF0 | address & 0xC) == _DRW
        return port if isinstance(port, MemoryPort) and is_data else None

    def _port(self) -> Port | None:
        if self._error or self._control & _POWER_REQUESTS != _POWER_REQUESTS:
            self._error = True
            raise WireError
        return self._ports.get(self._selected >> 24)

    def _failed(self, failed: UnansweredError) -> WireError:
        self._error = True
        return WireError(failed.address)
