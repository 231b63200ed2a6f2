"""The protocol of the boot ROM of STM32 chips over a UART (ST AN3155), this side of it.

Each request is one or two packets with a checksum, each answered by one byte. Nothing here waits for ever: a chip that
doesn't answer, or answers something else, ends in a DeviceError that names the step.
"""

from __future__ import annotations

import struct
import time
from functools import reduce
from operator import xor

from edgeq.errors import DeviceError
from edgeq.runners.port import SerialLike, explain

ACK, NACK = 0x79, 0x1F
SYNC = 0x7F
# AN3155 table 2.
GET, GET_ID, READ, GO, WRITE, ERASE, EXTENDED_ERASE, READOUT_UNPROTECT = 0x00, 0x02, 0x11, 0x21, 0x31, 0x43, 0x44, 0x92
PACKET_BYTES = 256
_ANSWER_S = 1.0
# A sector of 128 KB takes up to 4 s to erase at low supply voltage (DS9405, flash memory programming).
_ERASE_S = 10.0


class BootRom:
    """A chip whose boot ROM listens, on an open port (8 bits, even parity).

    Raises (all methods):
        DeviceError: no answer, a refusal, or an answer that means nothing; the port went away.
    """

    def __init__(self, port: SerialLike, name: str) -> None:
        self._port, self._name = port, name
        self._commands: frozenset[int] = frozenset()

    def connect(self) -> int:
        """Get in step, and ask which chip it is: the product id.

        The ROM measures the speed on the first 0x7F after reset. One that has done so already answers NACK to a
        second. A host that was interrupted may have left it in the middle of a packet: enough 0x7F end that too,
        because their checksum is wrong or what they would write is refused.
        """
        self._empty()
        for count in (1, 1, PACKET_BYTES + 3, 1):
            self._write(bytes([SYNC]) * count)
            if self._read(1, _ANSWER_S) in (bytes([ACK]), bytes([NACK])):
                break
        else:
            raise self._failed(
                "no boot ROM answers",
                "set BOOT0 high and reset the board, check that RX and TX are crossed, and flash it again",
            )
        self._empty()
        self._commands = frozenset(self._list(GET)[1:])
        product = self._list(GET_ID)
        return int.from_bytes(product, "big")

    def read(self, address: int, count: int) -> bytes:
        """Up to 256 bytes of memory. A chip that is protected against reading refuses."""
        self._command(READ, "reading")
        self._packet(struct.pack(">I", address), "reading")
        self._packet(bytes([count - 1]), "reading", complement=True)
        data = self._read(count, _ANSWER_S + count * 0.002)
        if len(data) < count:
            raise self._failed(f"only {len(data)} of {count} bytes came from {address:#010x}")
        return data

    def write(self, address: int, data: bytes) -> None:
        """Up to 256 bytes into erased flash, filled up with 0xFF to whole flash words (32 bytes on the STM32H7, less
        on others)."""
        padded = data + b"\xff" * (-len(data) % 32)
        self._command(WRITE, "writing")
        self._packet(struct.pack(">I", address), "writing")
        self._packet(bytes([len(padded) - 1]) + padded, f"writing at {address:#010x}")

    def erase(self, pages: range) -> None:
        """Pages (or sectors) by number, and no others."""
        for number in pages:
            step = f"erasing page {number}"
            if EXTENDED_ERASE in self._commands:
                self._command(EXTENDED_ERASE, step)
                self._packet(struct.pack(">HH", 0, number), step, timeout_s=_ERASE_S)
            else:
                self._command(ERASE, step)
                self._packet(bytes([0, number]), step, timeout_s=_ERASE_S)

    def unprotect(self) -> None:
        """Take the read protection off, which erases everything; the chip then resets."""
        self._command(READOUT_UNPROTECT, "removing the read protection")
        self._acknowledged("removing the read protection", 60.0)
        time.sleep(0.5)  # AN3155 section 3.12: the chip resets itself

    def go(self, address: int) -> None:
        """Start the program whose vector table is there."""
        self._command(GO, "starting")
        self._packet(struct.pack(">I", address), "starting")

    def _list(self, command: int) -> bytes:
        """The answer to Get and Get ID: its length less one, that many bytes, and an ACK."""
        self._command(command, "asking for the chip")
        length = self._read(1, _ANSWER_S)
        data = self._read(length[0] + 1, _ANSWER_S) if length else b""
        if not length or len(data) != length[0] + 1:
            raise self._failed("its answer about itself is cut short")
        self._acknowledged("asking for the chip", _ANSWER_S)
        return data

    def _command(self, command: int, step: str) -> None:
        self._write(bytes([command, command ^ 0xFF]))
        self._acknowledged(step, _ANSWER_S)

    def _packet(self, data: bytes, step: str, *, complement: bool = False, timeout_s: float = _ANSWER_S) -> None:
        checksum = data[0] ^ 0xFF if complement else reduce(xor, data)
        self._write(data + bytes([checksum]))
        self._acknowledged(step, timeout_s)

    def _acknowledged(self, step: str, timeout_s: float) -> None:
        answer = self._read(1, timeout_s)
        if answer == bytes([ACK]):
            return
        if answer == bytes([NACK]):
            raise DeviceError(
                f"the boot ROM refuses: {step}",
                where=self._name,
                next_step="the chip may be protected: against reading (--allow-erase takes that off, and erases it), "
                "or against writing (option bytes, with the vendor's tool)",
                reason="refused",
                step=step,
            )
        raise self._failed(f"{step}: {'no answer' if not answer else f'{answer[0]:#04x} instead of an answer'}")

    def _failed(self, what: str, step: str = "") -> DeviceError:
        return DeviceError(
            what,
            where=self._name,
            next_step=step or "reset the board with BOOT0 high, check the wires, and flash it again",
            reason="silent",
        )

    def _empty(self) -> None:
        while self._read(256, 0.02):
            pass

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as failed:
            raise self._gone(failed) from failed

    def _read(self, count: int, timeout_s: float) -> bytes:
        end, data = time.monotonic() + timeout_s, b""
        try:
            # A read waits a tenth of a second at most. The port's timeout stays as it is: to change it is to set the
            # parity again, which pseudo-terminals refuse.
            while len(data) < count and time.monotonic() < end:
                data += self._port.read(count - len(data))
        except (OSError, TypeError) as failed:  # TypeError: pyserial's read of a port that was closed meanwhile
            raise self._gone(failed) from failed
        return data

    def _gone(self, failed: BaseException) -> DeviceError:
        gone = explain(self._name, failed)
        return DeviceError(
            f"the port went away: {gone.what}",
            where=self._name,
            next_step="plug it in again, reset the board with BOOT0 high, and flash it again",
            reason="gone",
        )
