"""What stands around a board in MLPerf Tiny's energy mode: the interface board and an LPM01A, on pseudo-terminals.

The board itself is a virtual one that runs edgeq's firmware. Its console goes through the interface board
(`dut COMMAND%`, answers as `[dut]: …`), and its window pin to the meter, whose samples go by the virtual board's clock.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass, field

from meter_doubles import PtyMeter

from edgeq.simulator.board import Ended, VirtualBoard
from edgeq.target import Target

IDLE_J, ACTIVE_J = 3e-6, 9e-6
"""Joules a millisecond outside of a window and in it."""


@dataclass
class EnergyMeter(PtyMeter):
    """An LPM01A: acknowledges every command, and sends energy at 1 kHz while it is started."""

    settings: list[str] = field(default_factory=list)
    running: bool = False
    events: int = 0
    sent_ms: int = 0
    rest: bytes = b""

    def receive(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        for line in lines:
            command = line.decode()
            self.settings.append(command)
            self.running = {"start": True, "stop": False}.get(command, self.running)
            self.send(f"PowerShield > ack {command}\r\n".encode())
            if command == "stop":
                self.send(b"Acquisition completed\r\n")

    def advance(self, seconds: float, active: bool) -> None:
        """Samples up to that moment of the board's clock."""
        due = int(seconds * 1000) - self.sent_ms
        self.sent_ms += due
        if self.running and due > 0:
            joules = ACTIVE_J if active else IDLE_J
            self.send(f"{round(joules * 1e8):04d}-08\r\n".encode() * due)

    def event(self) -> None:
        """The pin fell. The runner looks for `ris` on the falling edge that it asks for; so its LPM01A says that."""
        if self.running:
            self.send(f"event {self.events:02d} ris\r\n".encode())
            self.events += 1


@dataclass
class InterfaceBoard(PtyMeter):
    """Passes commands to the board, and what that says to the runner."""

    to_board: queue.Queue[bytes] = field(default_factory=queue.Queue)
    heard_commands: list[str] = field(default_factory=list)
    rest: bytes = b""
    line: bytes = b""

    def receive(self, data: bytes) -> None:
        *commands, self.rest = (self.rest + data).split(b"%")
        for command in commands:
            text = command.decode().strip()
            self.heard_commands.append(text)
            if text.startswith("dut "):
                self.send(b"m-[dut passthrough]\r\nm-ready\r\n")
                self.to_board.put(text[4:].encode() + b"%")
            else:
                self.send(f"m-{text.replace(' ', '-')}\r\nm-ready\r\n".encode())

    def from_board(self, data: bytes) -> None:
        """A line at a time."""
        *lines, self.line = (self.line + data).split(b"\n")
        for line in lines:
            if line.strip():
                self.send(b"[dut]: " + line.strip() + b"\r\n")


class EnergyBench:
    """All of it; a context. `falls` are the board's cycles at which the window pin fell."""

    def __init__(self, target: Target, image: bytes) -> None:
        self.meter, self.interface = EnergyMeter(), InterfaceBoard()
        self.falls: list[int] = []
        self._waiting = bytearray()
        self._board = VirtualBoard(
            target, image, transmitted=self._waiting.extend, pin_changed=self._pin
        )  # fmt: skip
        assert self._board.run(20_000_000, skip_sleep=False) is Ended.IDLE and b"m-ready" in self._waiting
        self._waiting.clear()  # it has booted before the runner listens
        self.falls.clear()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> EnergyBench:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)
        self.meter.close()
        self.interface.close()
        self._board.close()

    @property
    def window_seconds(self) -> list[float]:
        """Length of each window by the board's clock."""
        hz = self._board.core_hz
        return [(b - a) / hz for a, b in zip(self.falls[::2], self.falls[1::2], strict=True)]

    def _pin(self, name: str, level: bool, cycle: int) -> None:
        if level:
            return
        self.meter.advance(cycle / max(self._board.core_hz, 1), active=len(self.falls) % 2 == 1)
        self.meter.event()
        self.falls.append(cycle)

    def _run(self) -> None:
        board, spoken_at = self._board, 0.0
        while not self._end.is_set():
            while not self.interface.to_board.empty():
                board.feed(self.interface.to_board.get())
            ended = board.run(500_000, slice_cycles=500_000, skip_sleep=False)
            self.meter.advance(board.cycles / max(board.core_hz, 1), active=len(self.falls) % 2 == 1)
            if self._waiting and ended is Ended.IDLE:
                # The runner takes what the meter has said by when the board is ready. At its 9600 baud the results
                # take a tenth of a second, and the meter's words are there first; that is what is waited for here.
                spoken_at = spoken_at or time.monotonic()
                if time.monotonic() - spoken_at > (0.5 if b"m-results" in self._waiting else 0.0):
                    self.interface.from_board(bytes(self._waiting))
                    self._waiting.clear()
                    spoken_at = 0.0
            if ended is Ended.IDLE and not board.unread:
                time.sleep(0.005)
                board.sleep_for(int(0.005 * board.core_hz))


def port_listing(bench: EnergyBench) -> str:
    """Python that makes pyserial list the two boards by the ids in the runner's devices file, and pyusb nothing."""
    return (
        "import serial.tools.list_ports as lp, usb.core\n"
        "from serial.tools.list_ports_common import ListPortInfo\n"
        "def port(name, vid, pid):\n"
        "    p = ListPortInfo(name); p.vid, p.pid, p.description = vid, pid, name; return p\n"
        f"lp.comports = lambda *a: [port({bench.interface.port!r}, 0x0483, 0x374E), "
        f"port({bench.meter.port!r}, 0x0483, 0x5740)]\n"
        "usb.core.find = lambda *a, **k: []\n"
    )


def environment() -> dict[str, str]:
    """For the runner: pictures without a screen."""
    return {**os.environ, "MPLBACKEND": "Agg"}
