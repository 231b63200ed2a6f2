"""ST's X-NUCLEO-LPM01A and STLINK-V3PWR: they integrate energy themselves and send it as text, once a millisecond.

Wire the board's window pin to D7 (LPM01A: Arduino connector; STLINK-V3PWR: its trigger input), and the grounds
together. Commands and data: ST UM2269 (PowerShield firmware) and UM3097 (STLINK-V3PWR). `6409-07` is 6409 · 10⁻⁷, here
joules in the millisecond before; `event 02 fal` stands where the pin fell.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeq.errors import DeviceError, UsageError
from edgeq.measure.energy.measurement import Plan
from edgeq.measure.energy.meters.ppk2 import find_port, gone_away, plugged_in
from edgeq.measure.energy.trace import Trace
from edgeq.runners.port import TERMINAL_ERRORS

if TYPE_CHECKING:
    from serial import Serial

RATE_HZ = 1000
_TIMEOUT_S = 5.0
_VALUE = re.compile(rb"(\d{4})([+-])(\d{2})")
_EVENT = re.compile(rb"event \d+ (?:fal|ris)")


@dataclass(frozen=True)
class Kind:
    """A meter of this family.

    Attributes:
        usb: vendor and product; baud: of its serial port.
        lowest_v, highest_v: of its supply output, which the board must be fed from.
    """

    title: str
    usb: tuple[int, int]
    baud: int
    lowest_v: float
    highest_v: float


LPM01A = Kind("LPM01A", (0x0483, 0x5740), 3_686_400, 1.8, 3.3)
STLINK_V3PWR = Kind("STLINK-V3PWR", (0x0483, 0x3757), 3_686_400, 1.6, 3.6)


def parse(data: bytes) -> tuple[list[float], tuple[int, ...], int]:
    """Values, the positions in them where an event stood, and how many lines made no sense."""
    values: list[float] = []
    falls: list[int] = []
    broken = 0
    for line in data.split(b"\n"):
        text = line.strip().removeprefix(b"PowerShield > ").removeprefix(b"stlp > ")
        number = _VALUE.fullmatch(text)
        if number:
            exponent = int(number[3]) * (-1 if number[2] == b"-" else 1)
            values.append(int(number[1]) * 10.0**exponent)
        elif _EVENT.fullmatch(text):
            falls.append(len(values))
        elif text and (text[0:1].isdigit() or text.startswith(b"event")):
            broken += 1
            values.append(float("nan"))
    return values, tuple(falls), broken


class PowerShield:
    """An open meter of this family."""

    def __init__(self, port: Serial, kind: Kind, where: str, plan: Plan) -> None:
        if not kind.lowest_v <= plan.supply_v <= kind.highest_v:
            raise UsageError(
                f"a {kind.title} supplies {kind.lowest_v:g} to {kind.highest_v:g} V, not {plan.supply_v:g} V",
                next_step=f"--supply {kind.highest_v:g}",
            )
        self._port = port
        self._where = where
        self._data = b""
        self._stop = threading.Event()
        self._reader: threading.Thread | None = None
        self._failure: Exception | None = None
        self.name = f"{kind.title} at {where} (supplies {plan.supply_v:g} V)"
        for command in (
            "htc",
            "acqtime inf",
            "trigdelay 0",
            "trigsrc sw",
            "eventsrc d7 fal",
            "output energy",
            "format ascii_dec",
            "freq 1k",
            f"volt {round(plan.supply_v * 1000)}m",
            "pwr on nostatus",
        ):
            self._command(command)

    @property
    def shortest_window_s(self) -> float:
        """See Meter."""
        return 1000 / RATE_HZ

    def start(self) -> None:
        """See Meter."""
        self._data, self._failure = b"", None
        self._stop.clear()
        with plugged_in(self._where):
            begun = self._command("start")
        self._reader = threading.Thread(target=self._read, args=(begun,), daemon=True)
        self._reader.start()

    def stop(self) -> Trace:
        """See Meter."""
        with plugged_in(self._where):
            self._port.write(b"stop\r\n")
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
        if self._failure is not None:
            raise gone_away(self._where, self._failure) from self._failure
        values, falls, broken = parse(self._data)
        if len(values) - broken < 2:
            raise DeviceError("the meter sent no values", where=self._where, next_step="unplug it and plug it in again")
        power = np.array(values, np.float64) * RATE_HZ
        known = ~np.isnan(power)
        power = np.interp(np.arange(len(power)), np.flatnonzero(known), power[known])
        return Trace(RATE_HZ, power, falls, broken, self.name)

    def close(self) -> None:
        """Give control back to the meter's own buttons; the board stays powered."""
        with contextlib.suppress(OSError, *TERMINAL_ERRORS):  # it may be gone
            self._port.write(b"stop\r\nhrc\r\n")

    def _read(self, begun: bytes) -> None:
        """Until it is told to stop and nothing more comes; `begun` came in with the answer to `start`."""
        heard = [begun]
        try:
            quiet = 0.0
            while quiet < 0.5:
                chunk = self._port.read(max(1, self._port.in_waiting))
                heard.append(chunk)
                if b"Acquisition completed" in b"".join(heard[-3:]):
                    break
                quiet = quiet + 0.05 if self._stop.is_set() and not chunk else 0.0
        except Exception as failed:  # pyserial raises several kinds when a device is unplugged
            self._failure = failed
        self._data = b"".join(heard)

    def _command(self, command: str) -> bytes:
        """Send a command, wait for its answer, and give back what followed it."""
        self._port.reset_input_buffer()
        self._port.write(command.encode() + b"\r\n")
        heard, until = b"", time.monotonic() + _TIMEOUT_S
        while True:
            heard += self._port.read(max(1, self._port.in_waiting))
            *lines, rest = heard.split(b"\n")
            for number, line in enumerate(lines):
                words = line.strip().removeprefix(b"PowerShield > ").removeprefix(b"stlp > ").split(b" ", 1)
                if words[0] == b"ack" and words[-1] == command.encode():
                    return b"\n".join([*lines[number + 1 :], rest])
                if words[0] == b"error":
                    raise DeviceError(
                        f"the meter refuses '{command}': {heard.decode(errors='replace').strip()}", where=self._where
                    )
            if time.monotonic() > until:
                raise DeviceError(
                    f"no answer to '{command}'; it said {heard[-80:]!r}" if heard else "doesn't answer",
                    where=self._where,
                    next_step="is it the meter's port, and not in use by another program?",
                )


@contextmanager
def _open(kind: Kind, address: str, plan: Plan) -> Iterator[PowerShield]:
    import serial

    where = address or find_port(kind.usb, kind.title)
    try:
        port: Any = serial.serial_for_url(where, kind.baud, timeout=0.05, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as failed:
        raise DeviceError(
            f"can't open it: {failed}", where=where, next_step="`edgeq devices` says what is in the way"
        ) from failed
    try:
        with plugged_in(where):
            meter = PowerShield(port, kind, where, plan)
        try:
            yield meter
        finally:
            meter.close()
    finally:
        port.close()


open_lpm01a = partial(_open, LPM01A)
open_stlink_v3pwr = partial(_open, STLINK_V3PWR)
