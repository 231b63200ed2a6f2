"""Meters on pseudo-terminals: they send what a script says, sample by sample, and hear commands."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeq.measure.energy.meters.ppk2 import _ADC_VOLTS, Calibration


@dataclass(frozen=True)
class Script:
    """What the meter sees after it is started: milliamperes, and the pin (high but in its pulses)."""

    milliamperes: np.ndarray
    pin: np.ndarray

    @classmethod
    def windows(cls, rate: int, idle_ma: float, active_ma: float, idle_s: float, window_s: float) -> Script:
        """Idle, a pulse, the window, a pulse, idle again."""
        pulse = max(1, round(50e-6 * rate))
        idle, window, after = round(idle_s * rate), round(window_s * rate), round(0.1 * rate)
        milliamperes = np.concatenate([np.full(idle, idle_ma), np.full(window, active_ma), np.full(after, idle_ma)])
        pin = np.ones(len(milliamperes), np.uint8)
        pin[idle : idle + pulse] = 0
        pin[idle + window : idle + window + pulse] = 0
        return cls(milliamperes, pin)


def encode(script: Script, calibration: Calibration, supply_v: float) -> bytes:
    """Samples of a PPK2: the inverse of Nordic's formula, in the most sensitive range that holds each value."""
    amperes = script.milliamperes / 1000
    adc = np.full(len(amperes), -1.0)
    place = np.zeros(len(amperes), np.uint32)
    for r in range(5):
        target = amperes / calibration.ug[r] - (calibration.s[r] * supply_v + calibration.i[r])
        gs, gi = calibration.gs[r], calibration.gi[r]
        plain = 2 * target / (gi + np.sqrt(np.maximum(gi**2 + 4 * gs * target, 0)))  # stable for a small gs
        raw = (plain / (_ADC_VOLTS / calibration.r[r]) + calibration.o[r]) / 4
        fits = (adc < 0) & (raw < 16_000)
        adc[fits], place[fits] = raw[fits], r
    counter = np.arange(len(amperes), dtype=np.uint32) & 0x3F
    words = np.clip(np.round(adc), 0, 16_383).astype(np.uint32) | place << 14 | counter << 18
    return (words | script.pin.astype(np.uint32) << 24).astype("<u4").tobytes()


def metadata(calibration: Calibration) -> bytes:
    """What a PPK2 tells of itself."""
    lines = ["Calibrated: 1"]
    for r in range(5):
        for key in ("r", "gs", "gi", "o", "s", "i", "ug"):
            lines.append(f"{key.upper()}{r}: {getattr(calibration, key)[r]:.9g}")
    return ("\n".join([*lines, "VDD: 3300", "HW: 37180", "IA: 56", "END"]) + "\n").encode()


@dataclass
class PtyMeter:
    """Runs in a thread; `port` is what the host opens. Subclasses answer commands."""

    heard: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        tty.setraw(self._master)
        self.port = os.ttyname(self._slave)
        self._end = threading.Event()
        self._outgoing = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1

    unplug = close

    def send(self, data: bytes) -> None:
        self._outgoing += data

    def drop(self) -> None:
        self._outgoing = b""

    def receive(self, data: bytes) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        while not self._end.is_set():
            ready, writable, _ = select.select([self._master], [self._master] if self._outgoing else [], [], 0.01)
            if ready:
                data = os.read(self._master, 4096)
                self.heard.append(data)
                self.receive(data)
            if writable and self._outgoing:
                part = self._outgoing[:2048]
                self._outgoing = self._outgoing[os.write(self._master, part) :]


@dataclass
class Ppk2Double(PtyMeter):
    """A PPK2. `missing` are positions of samples that it loses."""

    scripts: Sequence[Script] = ()
    calibration: Calibration = field(default_factory=Calibration)
    supply_v: float = 3.3
    missing: frozenset[int] = frozenset()
    started: int = 0

    def receive(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            command = data[at]
            at += {0x0D: 3, 0x11: 2, 0x0C: 2}.get(command, 1)
            if command == 0x19:
                self.send(metadata(self.calibration))
            elif command == 0x06 and self.scripts:
                script = self.scripts[self.started % len(self.scripts)]
                self.started += 1
                raw = encode(script, self.calibration, self.supply_v)
                kept = (raw[i * 4 : i * 4 + 4] for i in range(len(raw) // 4) if i not in self.missing)
                self.send(b"".join(kept) if self.missing else raw)


@dataclass
class PowerShieldDouble(PtyMeter):
    """An LPM01A (or, with another prompt, a STLINK-V3PWR) at 1 kHz: joules per millisecond."""

    scripts: Sequence[Script] = ()
    supply_v: float = 3.3
    prompt: str = "PowerShield > "
    refuses: str = ""
    damage: frozenset[int] = frozenset()
    started: int = 0
    rest: bytes = b""
    settings: list[str] = field(default_factory=list)

    def receive(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\r\n")
        for line in lines:
            command = line.decode()
            self.settings.append(command)
            if self.refuses and command.startswith(self.refuses):
                self.send(f"{self.prompt}error {command}\r\nError detail: no\r\n".encode())
                continue
            self.send(f"{self.prompt}ack {command}\r\n".encode())
            if command == "start" and self.scripts:
                self.send(self._data(self.scripts[self.started % len(self.scripts)]))
                self.started += 1
            elif command == "stop":
                self.send(b"Acquisition completed\r\n")

    def _data(self, script: Script) -> bytes:
        lines = []
        events = 0
        for i, milliamperes in enumerate(script.milliamperes):
            if i and script.pin[i] == 0 and script.pin[i - 1] == 1:
                lines.append(f"event {events:02d} fal")
                events += 1
            joules = milliamperes / 1000 * self.supply_v / 1000
            exponent = int(np.floor(np.log10(joules))) - 3 if joules else -12
            text = f"{round(joules / 10.0**exponent):04d}{exponent:+03d}"
            lines.append(text[:-2] if i in self.damage else text)
        return ("\r\n".join(lines) + "\r\n").encode()
