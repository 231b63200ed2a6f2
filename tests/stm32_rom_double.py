"""The chip's side of ST's UART bootloader (AN3155) on a pseudo-terminal, with flash that can only clear bits."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from operator import xor

ACK, NACK = 0x79, 0x1F
BASE = 0x0800_0000
COMMANDS = (0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44, 0x63, 0x73, 0x82, 0x92)


class _UnpluggedError(Exception):
    pass


class RomDouble:
    """Serves in a thread; `port` is what the host opens.

    Attributes:
        dead: the flash controller accepts everything and writes nothing.
        protected: read protection is on.
        unplug_after: bytes from the host after which the port goes away; 0 = never.
    """

    def __init__(
        self,
        sectors: Sequence[int],
        *,
        product: int = 0x470,
        dead: bool = False,
        protected: bool = False,
        unplug_after: int = 0,
        flash: bytearray | None = None,
    ) -> None:
        self.sectors, self.product, self.dead, self.protected = tuple(sectors), product, dead, protected
        self.flash = flash if flash is not None else bytearray(b"\0" * sum(sectors))
        self.unplug_after, self.heard = unplug_after, 0
        self.erased: list[int] = []
        self.mass_erased = False
        self.started_at = -1
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RomDouble:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self._close()

    def _close(self) -> None:
        for descriptor in (self._slave, self._master):
            if descriptor >= 0:
                os.close(descriptor)
        self._slave = self._master = -1

    def _serve(self) -> None:
        with suppress(OSError, _UnpluggedError):
            while not self._stop.is_set():
                command = self._take(1)[0]
                if command == 0x7F:
                    self._say(ACK)
                elif (
                    self._take(1)[0] != command ^ 0xFF
                    or command not in COMMANDS
                    or (self.protected and command not in (0x00, 0x01, 0x02, 0x92))
                ):
                    self._say(NACK)
                else:
                    self._say(ACK)
                    self._command(command)

    def _command(self, command: int) -> None:
        if command == 0x00:
            self._say(len(COMMANDS), 0x31, *COMMANDS, ACK)
        elif command == 0x01:
            self._say(0x31, 0, 0, ACK)
        elif command == 0x02:
            self._say(1, self.product >> 8, self.product & 0xFF, ACK)
        elif command == 0x11:
            self._read()
        elif command == 0x21:
            address = self._address()
            if address is not None:
                self.started_at = address
        elif command == 0x31:
            self._write()
        elif command == 0x44:
            self._erase()
        elif command == 0x92:
            self.protected, self.mass_erased = False, True
            self.flash[:] = b"\xff" * len(self.flash)
            self._say(ACK)

    def _address(self) -> int | None:
        data = self._take(5)
        if reduce(xor, data[:4]) != data[4]:
            self._say(NACK)
            return None
        self._say(ACK)
        return int.from_bytes(data[:4], "big")

    def _read(self) -> None:
        address = self._address()
        if address is None:
            return
        count, check = self._take(2)
        if count ^ 0xFF != check:
            self._say(NACK)
            return
        self._say(ACK)
        os.write(self._master, bytes(self._memory(address, count + 1)))

    def _memory(self, address: int, count: int) -> bytearray:
        offset = address - BASE
        return self.flash[offset : offset + count] if 0 <= offset < len(self.flash) else bytearray(count)

    def _write(self) -> None:
        address = self._address()
        if address is None:
            return
        count = self._take(1)
        data = self._take(count[0] + 1)
        if reduce(xor, count + data) != self._take(1)[0] or len(data) % 4:
            self._say(NACK)
            return
        offset = address - BASE
        if not self.dead:
            held = self.flash[offset : offset + len(data)]
            self.flash[offset : offset + len(data)] = bytes(h & d for h, d in zip(held, data, strict=True))
        self._say(ACK)

    def _erase(self) -> None:
        head = self._take(2)
        count = int.from_bytes(head, "big")
        if count >= 0xFFF0:
            self._take(1)
            self.mass_erased, numbers = True, list(range(len(self.sectors)))
        else:
            data = self._take(2 * (count + 1))
            if reduce(xor, head + data) != self._take(1)[0]:
                self._say(NACK)
                return
            numbers = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
        for number in numbers:
            start = sum(self.sectors[:number])
            if not self.dead:
                self.flash[start : start + self.sectors[number]] = b"\xff" * self.sectors[number]
        self.erased += numbers
        self._say(ACK)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if self._stop.is_set():
                raise _UnpluggedError
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            want = count - len(data)
            if self.unplug_after:
                want = min(want, self.unplug_after - self.heard)
            data += os.read(self._master, want)
            self.heard += want
            if self.unplug_after and self.heard >= self.unplug_after:
                self._close()
                raise _UnpluggedError
        return data

    def _say(self, *values: int) -> None:
        os.write(self._master, bytes(values))
