"""A bad serial line: edgeq's very runtime in a process, a pseudo-terminal for the host, and damage between the two."""

from __future__ import annotations

import os
import random
import select
import subprocess
import termios
import threading
import time
import tty
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import PortError

_BAUD = 115_200
_OTHERS_WORDS = (b"AT\r\n", b"name%", b"infer 1 0%", b"edgeq run 1%", b"db ")


@dataclass(frozen=True)
class Damage:
    """What a line does; each rate is per byte, in both directions.

    Attributes:
        junk: bytes of noise that stand in the port when it is opened.
        unplug_after: bytes after which the port goes away; 0 = never.
        returns: it comes back a moment later under another name, and the board has started anew.
        thief: another program has the port open too: it takes pieces of what the device says, and writes.
        still_until: bytes that pass unharmed first.
        pace_baud: how fast it is, ten bits a byte; 0 = at once.
    """

    drop: float = 0.0
    double: float = 0.0
    flip: float = 0.0
    junk: int = 0
    unplug_after: int = 0
    returns: bool = False
    thief: bool = False
    still_until: int = 0
    pace_baud: int = 0


class BadLine:
    """Starts the firmware; `port` is what the host opens now. A context that ends everything."""

    def __init__(self, firmware: Path, damage: Damage, seed: int) -> None:
        self._damage, self._chance = damage, random.Random(seed)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._firmware = firmware
        self._start()
        self._unplugged = False
        self._away = threading.Event()
        self._passed = 0
        self.busy_s = 0.0  # how long the line has carried bytes, of a paced one
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._carry, daemon=True)]
        if damage.thief:
            self._threads.append(threading.Thread(target=self._steal, daemon=True))

    def __enter__(self) -> BadLine:
        os.write(self._master, self._chance.randbytes(self._damage.junk))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._kill()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)

    def now(self) -> str:
        """The port's name, as `edgeq.runners.ports.follow` gives it; while it is away the old one may be another's."""
        if self._away.is_set():
            raise PortError("it isn't plugged in", where=self.port, reason="absent")
        return self.port

    def _start(self) -> None:
        self._device = subprocess.Popen(
            [self._firmware], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._device_baud = _BAUD

    def _kill(self) -> None:
        self._device.kill()
        self._device.wait()
        for stream in (self._device.stdin, self._device.stdout, self._device.stderr):
            assert stream is not None
            stream.close()

    def _carry(self) -> None:
        self._carry_until_unplugged()
        if self._unplugged and self._damage.returns and not self._stop.is_set():
            self._kill()
            time.sleep(self._chance.uniform(0.0, 0.6))
            self._start()
            self._master, self._slave = self._next
            self.port = os.ttyname(self._slave)
            self._away.clear()
            self._carry_until_unplugged()

    def _carry_until_unplugged(self) -> None:
        assert self._device.stdin and self._device.stdout and self._device.stderr
        from_device, speeds = self._device.stdout.fileno(), self._device.stderr.fileno()
        with suppress(OSError):
            while not self._stop.is_set():
                ready = select.select([self._master, from_device, speeds], [], [], 0.2)[0]
                if self._master in ready:
                    os.write(self._device.stdin.fileno(), self._damaged(os.read(self._master, 64)))
                if from_device in ready:
                    os.write(self._master, self._damaged(os.read(from_device, 64)))
                if speeds in ready:  # after what was said at the old one
                    told = os.read(speeds, 64).split()
                    if not told:
                        return
                    self._device_baud = int(told[-1])
                if 0 < self._damage.unplug_after <= self._passed and not self._unplugged:
                    self._unplug()
                    return

    def _unplug(self) -> None:
        self._unplugged = True
        self._away.set()
        if self._damage.returns:
            self._next = os.openpty()  # before the old one is free, so that it has another name
            tty.setraw(self._next[1])
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def _damaged(self, data: bytes) -> bytes:
        if termios.tcgetattr(self._master)[4] != getattr(termios, f"B{self._device_baud}"):
            return bytes(b ^ 0xA5 for b in data)
        d, out = self._damage, bytearray()
        if d.pace_baud:
            started = time.monotonic()
            time.sleep(len(data) * 10 / d.pace_baud)
            self.busy_s += time.monotonic() - started
        for byte in data:
            self._passed += 1
            chance = self._chance.random() if self._passed > d.still_until else 1.0
            if chance < d.drop:
                continue
            if chance < d.drop + d.double:
                out.append(byte)
            elif chance < d.drop + d.double + d.flip:
                byte ^= 1 << self._chance.randrange(8)
            out.append(byte)
        return bytes(out)

    def _steal(self) -> None:
        """A program that doesn't ask for the port alone, as serial monitors and ModemManager do."""
        with suppress(OSError):
            mine = os.open(self.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                while not self._stop.is_set():
                    time.sleep(self._chance.uniform(0.05, 0.8))
                    if self._chance.random() < 0.5:
                        os.write(
                            mine, self._chance.choice([b"AT\r\n", b"name%", b"infer 1 0%", b"edgeq run 1%", b"db "])
                        )
                    elif select.select([mine], [], [], 0.02)[0]:
                        os.read(mine, self._chance.randrange(1, 40))
            finally:
                os.close(mine)
