"""UARTE of the nRF52: a UART whose bytes its own DMA moves (nRF52840 Product Specification, chapter UARTE)."""

from __future__ import annotations

from edgeq.simulator.peripherals.device import NEVER, SerialPort
from edgeq.simulator.peripherals.nrf52_events import EventDevice

_STARTRX, _STOPRX, _STARTTX, _STOPTX, _FLUSHRX = 0x000, 0x004, 0x008, 0x00C, 0x02C
_RXDRDY, _ENDRX, _TXDRDY, _ENDTX, _RXTO, _RXSTARTED, _TXSTARTED, _TXSTOPPED = (
    0x108, 0x110, 0x11C, 0x120, 0x144, 0x14C, 0x150, 0x158,
)  # fmt: skip
_ERRORSRC, _ENABLE, _PSEL_TXD, _PSEL_RXD = 0x480, 0x500, 0x50C, 0x514
_RXD, _TXD = 0x534, 0x544
_PTR, _MAXCNT, _AMOUNT = 0, 4, 8
_UARTE, _DISCONNECTED = 8, 1 << 31
_ENDRX_STARTRX, _ENDRX_STOPRX = 5, 6
_COUNT = 0xFFFF


class Uarte(EventDevice, SerialPort):
    """Both directions by DMA, which reaches RAM only; bytes that come while no buffer is given stay on the line."""

    def reset(self) -> None:
        """Nothing under way."""
        super().reset()
        self._buffer = self._room = self._filled = 0

    def _on(self, pin: int) -> bool:
        return self.words.get(_ENABLE, 0) & 15 == _UARTE and not self.words.get(pin, _DISCONNECTED) & _DISCONNECTED

    def receiving(self) -> bool:
        """There is a buffer to be filled."""
        return self._room > self._filled and self._on(_PSEL_RXD)

    def next_event(self) -> int:
        """When the next bytes arrive."""
        return self._next_refill if self.waiting and self.receiving() else NEVER

    def advance(self, now: int, asleep: bool) -> None:
        """Bytes arrive: a burst of them, as buffers are given."""
        if self.waiting and self.receiving() and (asleep or now >= self._next_refill):
            self._left = self.burst()
            self._next_refill = now + self.pause(self._left)
            self._receive()

    def _receive(self) -> None:
        """Fill the buffer with what is on the line and left of the burst."""
        while self.receiving() and self.waiting and self._left > 0:
            count = min(self._room - self._filled, len(self.waiting), self._left)
            data = bytes(self.waiting.popleft() for _ in range(count))
            self.wires.write_memory(self._buffer + self._filled, data)
            self._left -= count
            self._filled += count
            self.words[_RXDRDY] = 1
            if self._filled == self._room:
                self._end_receiving()

    def _end_receiving(self) -> None:
        self.words[_RXD + _AMOUNT] = self._filled
        self._room = self._filled = 0
        self.raise_event(_ENDRX)
        if self.short(_ENDRX_STARTRX):
            self._start_receiving()
        elif self.short(_ENDRX_STOPRX):
            self.raise_event(_RXTO)

    def _start_receiving(self) -> None:
        self._buffer = self.words.get(_RXD + _PTR, 0)
        self._room, self._filled = self.words.get(_RXD + _MAXCNT, 0) & _COUNT, 0
        self.raise_event(_RXSTARTED)

    def _send(self) -> None:
        count = self.words.get(_TXD + _MAXCNT, 0) & _COUNT
        self.raise_event(_TXSTARTED)
        if self.words.get(_ENABLE, 0) & 15 != _UARTE:
            return
        for byte in self.wires.read_memory(self.words.get(_TXD + _PTR, 0), count):
            if self._on(_PSEL_TXD):
                self.wires.transmit(byte)
        self.words[_TXD + _AMOUNT] = count
        self.words[_TXDRDY] = 1
        self.raise_event(_ENDTX)

    def task(self, offset: int) -> None:
        """Start and stop both directions."""
        if offset == _STARTRX:
            self._start_receiving()
            self._receive()
            self.wires.schedule(self.next_event())
        elif offset == _STOPRX:
            if self._room:
                self._end_receiving()
            self.raise_event(_RXTO)
        elif offset == _STARTTX:
            self._send()
        elif offset == _STOPTX:
            self.raise_event(_TXSTOPPED)
        elif offset == _FLUSHRX:
            self.words[_RXD + _AMOUNT] = 0  # nothing is ever left in the receiver
            self.raise_event(_ENDRX)

    def store(self, offset: int, value: int) -> None:
        """ERRORSRC is cleared by writing ones; nothing ever sets it."""
        if offset == _ERRORSRC:
            return
        super().store(offset, value)
