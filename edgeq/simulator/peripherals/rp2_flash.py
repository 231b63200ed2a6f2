"""The RP2040's serial interface (SSI) with the flash chip behind it: enough for the second stage of its boot.

RP2040 Datasheet, sections 2.6.3 and 4.10; commands of the W25Q16JV (Winbond data sheet, chapter 8).
"""

from __future__ import annotations

from collections import deque

from edgeq.simulator.peripherals.device import Device

_SSIENR, _BAUDR, _SR, _DR0, _SPI_CTRLR0 = 0x08, 0x14, 0x28, 0x60, 0xF4
_NOT_FULL, _EMPTY, _RECEIVED = 1 << 1, 1 << 2, 1 << 3
_READ_STATUS_2, _WRITE_STATUS_2 = 0x35, 0x31
_QUAD = 1 << 1  # bit 1 of status register 2: four data lines
_WITHOUT_INSTRUCTION = 2  # in SPI_CTRLR0: instruction length and type as for addresses that follow one another
# Serial clocks of a word that isn't in the cache: 24 bits of address and 8 of mode on four lines, four clocks' pause, a
# frame of 32 bits on four lines.
_QUAD_CLOCKS = 8 + 4 + 8
# As the boot ROM leaves it: 03h, one line, an instruction and an address before 32 bits.
_PLAIN_CLOCKS = 32 + 32
_ROM_DIVIDER = 6


class Ssi(Device):
    """Answers to commands, and what a word that isn't in the cache costs with the settings that it has been given."""

    def reset(self) -> None:
        """As the boot ROM leaves it; the flash chip keeps its status."""
        super().reset()
        self._command = 0
        self._status_2 = 0
        self._answers: deque[int] = deque()
        self.wires.flash_settings(_PLAIN_CLOCKS * _ROM_DIVIDER, False, True, True)

    def load(self, offset: int) -> int:
        """Transfers take no time."""
        if offset == _SR:
            return _NOT_FULL | _EMPTY | (_RECEIVED if self._answers else 0)
        if offset == _DR0:
            return self._answers.popleft() if self._answers else 0
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Frames while it is on, settings otherwise."""
        if offset == _DR0 and self.words.get(_SSIENR, 0) & 1:
            self._frame(value & 0xFF)
            return
        super().store(offset, value)
        if offset == _SSIENR:
            self._command = 0
            self._answers.clear()
            if value & 1 and self.words.get(_SPI_CTRLR0, 0) & 3 == _WITHOUT_INSTRUCTION and self._status_2 & _QUAD:
                divider = self.words.get(_BAUDR, 0) & 0xFFFE
                self.wires.flash_settings(_QUAD_CLOCKS * max(divider, 2), False, True, True)

    def _frame(self, value: int) -> None:
        if self._command == _WRITE_STATUS_2:
            self._status_2 = value
        answering = self._command == _READ_STATUS_2
        self._answers.append(self._status_2 if answering else 0)
        self._command = 0 if self._command in (_WRITE_STATUS_2, _READ_STATUS_2) else value
