"""Nordic's Power Profiler Kit II: 100,000 samples a second with eight logic inputs in each.

Wire the board's window pin to D0 and the grounds together; D0 takes the supply's level (VCC of the logic port).

The protocol is Nordic's, as its Power Profiler application speaks it (pc-nrfconnect-ppk, src/device/serialDevice.ts):
one-byte commands, and 32-bit little-endian samples: 14 bits of ADC, 3 of range, 6 of a counter, 8 of logic. Each range
has a resistance and five corrections, which the device tells.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DeviceError, UsageError
from edgeq.measure.energy.measurement import Plan
from edgeq.measure.energy.trace import Trace
from edgeq.runners.port import TERMINAL_ERRORS

if TYPE_CHECKING:
    from serial import Serial

RATE_HZ = 100_000
RANGES = 5
_AVERAGE_START, _AVERAGE_STOP, _RUNNING, _REGULATOR, _MODE, _METADATA = 0x06, 0x07, 0x0C, 0x0D, 0x11, 0x19
_AMPERE_METER, _SOURCE_METER = 1, 2
_ADC_VOLTS = 1.8 / 163_840
_VENDOR, _PRODUCT = 0x1915, 0xC00A
_LOWEST_MV, _HIGHEST_MV = 800, 5000
# After a change of range the amplifier settles for so many samples; these are interpolated.
_SETTLING = 3
_TIMEOUT_S = 5.0
_BAUD = 115_200  # USB: any
_LINE = re.compile(r"^(?P<key>[A-Z]{1,2})(?P<range>[0-4])?:\s*(?P<value>[-+\d.eE]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Calibration:
    """Of each range: resistance in Ω, and the corrections gs, gi, o, s, i, ug of Nordic's formula."""

    r: tuple[float, ...] = (1031.64, 101.65, 10.15, 0.94, 0.043)
    gs: tuple[float, ...] = (1.0,) * RANGES
    gi: tuple[float, ...] = (1.0,) * RANGES
    o: tuple[float, ...] = (0.0,) * RANGES
    s: tuple[float, ...] = (0.0,) * RANGES
    i: tuple[float, ...] = (0.0,) * RANGES
    ug: tuple[float, ...] = (1.0,) * RANGES

    @classmethod
    def parse(cls, text: str) -> Calibration:
        """Read what the device tells; keys that are missing, and resistances of 0, keep their nominal values."""
        found: dict[str, list[float]] = {
            name: list(getattr(cls(), name)) for name in ("r", "gs", "gi", "o", "s", "i", "ug")
        }
        for line in _LINE.finditer(text):
            name, place, value = line["key"].lower(), line["range"], float(line["value"])
            if name in found and place is not None and (value or name != "r"):
                found[name][int(place)] = value
        return cls(**{name: tuple(values) for name, values in found.items()})


def decode(
    words: npt.NDArray[np.uint32], calibration: Calibration, supply_v: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8], int]:
    """Raw samples as amperes and logic inputs, and how many were lost.

    The six-bit counter shows what is missing: gaps are filled (currents by interpolation, inputs with what stood
    before), so that time stays right; 64 at once, or a multiple, can't be seen.
    """
    adc = (words & 0x3FFF).astype(np.float64) * 4
    place = np.minimum((words >> 14) & 0x7, RANGES - 1).astype(np.intp)
    counter = ((words >> 18) & 0x3F).astype(np.int64)
    logic = (words >> 24).astype(np.uint8)
    r, gs, gi, o, s, i, ug = (np.array(getattr(calibration, k))[place] for k in ("r", "gs", "gi", "o", "s", "i", "ug"))
    plain = (adc - o) * (_ADC_VOLTS / r)
    amperes = ug * (plain * (gs * plain + gi) + (s * supply_v + i))
    changed = np.flatnonzero(np.diff(place)) + 1
    settling = np.zeros(len(words), bool)
    for step in range(_SETTLING):
        settling[np.minimum(changed + step, len(words) - 1)] = True
    steps = (np.diff(counter) - 1) % 64 + 1
    at = np.concatenate([[0], np.cumsum(steps)]) if len(words) else np.zeros(0, np.int64)
    total = int(at[-1]) + 1 if len(words) else 0
    good = ~settling if (~settling).any() else np.ones(len(words), bool)
    whole = np.interp(np.arange(total), at[good], amperes[good])
    held = logic[np.searchsorted(at, np.arange(total), side="right") - 1]
    return whole, held, total - len(words)


_FAILURES: tuple[type[Exception], ...] = (OSError, *TERMINAL_ERRORS)


@contextmanager
def plugged_in(where: str) -> Iterator[None]:
    """An I/O error, pyserial's too, as the DeviceError that it is: a meter that went away."""
    try:
        yield
    except _FAILURES as gone:
        raise gone_away(where, gone) from gone


def gone_away(where: str, failure: Exception) -> DeviceError:
    """The error of a meter that was unplugged; a board that it supplied is off now."""
    return DeviceError(
        f"the meter went away: {failure}", where=where, next_step="plug it in again, check its cable, and run it again"
    )


class Ppk2:
    """An open PPK2."""

    def __init__(self, port: Serial, where: str, plan: Plan) -> None:
        self._port = port
        self._where = where
        self._supply_v = plan.supply_v
        self._chunks: list[bytes] = []
        self._stop = threading.Event()
        self._reader: threading.Thread | None = None
        self._failure: Exception | None = None
        mode = "supplies" if plan.source else "stands in a supply of"
        self.name = f"PPK2 at {where} ({mode} {plan.supply_v:g} V)"
        self._calibration = self._set_up(plan)

    @property
    def shortest_window_s(self) -> float:
        """See Meter."""
        return 1000 / RATE_HZ

    def start(self) -> None:
        """See Meter."""
        self._chunks, self._failure = [], None
        self._stop.clear()
        with plugged_in(self._where):
            self._port.reset_input_buffer()
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
            self._port.write(bytes([_AVERAGE_START]))

    def stop(self) -> Trace:
        """See Meter."""
        with plugged_in(self._where):
            self._port.write(bytes([_AVERAGE_STOP]))
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
        if self._failure is not None:
            raise gone_away(self._where, self._failure) from self._failure
        data = b"".join(self._chunks)
        words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
        if len(words) < 2:
            raise DeviceError(
                "the meter sent no samples", where=self._where, next_step="unplug it and plug it in again"
            )
        amperes, logic, lost = decode(words, self._calibration, self._supply_v)
        pin = logic & 1
        falls = np.flatnonzero((pin[:-1] == 1) & (pin[1:] == 0)) + 1
        return Trace(RATE_HZ, amperes * self._supply_v, tuple(int(i) for i in falls), lost, self.name)

    def _read(self) -> None:
        """Without a pause: the device's own buffer is small."""
        try:
            while True:
                chunk = self._port.read(max(4096, self._port.in_waiting))
                if chunk:
                    self._chunks.append(chunk)
                elif self._stop.is_set():
                    return
        except Exception as failed:  # pyserial raises several kinds when a device is unplugged
            self._failure = failed

    def _set_up(self, plan: Plan) -> Calibration:
        millivolts = round(plan.supply_v * 1000)
        if not _LOWEST_MV <= millivolts <= _HIGHEST_MV:
            raise UsageError(f"a PPK2 measures from 0.8 to 5 V, not {plan.supply_v:g} V", next_step="--supply 3.3")
        self._port.write(bytes([_AVERAGE_STOP]))
        time.sleep(0.05)
        self._port.reset_input_buffer()
        self._port.write(bytes([_METADATA]))
        text = self._until(b"END")
        self._port.write(bytes([_MODE, _SOURCE_METER if plan.source else _AMPERE_METER]))
        # 800 mV is (3, 32), and each mV above it one more, carried from the second byte to the first.
        high, low = divmod(3 * 256 + 32 + millivolts - _LOWEST_MV, 256)
        self._port.write(bytes([_REGULATOR, high, low]))
        self._port.write(bytes([_RUNNING, 1]))
        return Calibration.parse(text)

    def _until(self, end: bytes) -> str:
        heard, until = b"", time.monotonic() + _TIMEOUT_S
        while end not in heard:
            if time.monotonic() > until:
                raise DeviceError(
                    f"doesn't answer as a PPK2 does; it said {heard[:80]!r}" if heard else "doesn't answer",
                    where=self._where,
                    next_step="is it the PPK2's first serial port? Close other programs that use it",
                )
            heard += self._port.read(max(1, self._port.in_waiting))
        return heard.decode(errors="replace")


@contextmanager
def open_ppk2(address: str, plan: Plan) -> Iterator[Ppk2]:
    """A PPK2 at a serial port; the only one that is plugged in without an address."""
    import serial

    where = address or find_port((_VENDOR, _PRODUCT), "PPK2")
    try:
        port: Any = serial.serial_for_url(where, _BAUD, timeout=0.05, exclusive=True)
    except (serial.SerialException, OSError) as failed:
        raise DeviceError(
            f"can't open it: {failed}", where=where, next_step="`edgeq devices` says what is in the way"
        ) from failed
    try:
        with plugged_in(where):
            meter = Ppk2(port, where, plan)
        yield meter
    finally:
        with contextlib.suppress(OSError, *TERMINAL_ERRORS):  # it may be gone
            port.write(bytes([_AVERAGE_STOP]))
        port.close()


def find_port(usb: tuple[int, int], title: str) -> str:
    """The first serial port of the only device with that USB vendor and product.

    Raises:
        DeviceError: none, or several.
    """
    from serial.tools import list_ports

    found = [port for port in list_ports.comports() if (port.vid, port.pid) == usb]
    numbers = sorted({str(port.serial_number) for port in found})
    if len(numbers) == 1:
        return str(sorted(port.device for port in found)[0])
    ports = ", ".join(sorted(str(port.device) for port in found))
    raise DeviceError(
        f"{len(numbers)} {title} are plugged in" if found else f"no {title} is plugged in",
        where="USB",
        next_step=f"name one: {ports}" if found else "is the cable a data cable? On Linux, `edgeq doctor --udev`",
    )
