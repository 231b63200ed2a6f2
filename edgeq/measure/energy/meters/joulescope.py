"""Joulescope JS220 and JS320, through Jetperch's pyjoulescope_driver: power and a logic input on one sample clock.

Wire the board's window pin to general-purpose input 0. Topics: the driver's documentation, "JS220 publish-subscribe
topics": s/p and s/gpi/0, each with `ctrl` to switch it and `!data` that carries blocks of samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from edgeq.errors import DeviceError
from edgeq.measure.energy.measurement import Plan
from edgeq.measure.energy.trace import Trace

RATE_HZ = 100_000
_POWER, _PIN = "s/p", "s/gpi/0"


class Joulescope:
    """An open Joulescope."""

    def __init__(self, driver: Any, path: str) -> None:
        self._driver = driver
        self._path = path
        self._power: list[Mapping[str, Any]] = []
        self._pin: list[Mapping[str, Any]] = []
        self.name = f"Joulescope {path}"
        with driving(self.name):
            driver.publish(f"{path}/s/i/range/mode", "auto")
            driver.publish(f"{path}/h/fs", RATE_HZ)

    @property
    def shortest_window_s(self) -> float:
        """See Meter."""
        return 1000 / RATE_HZ

    def start(self) -> None:
        """See Meter."""
        self._power, self._pin = [], []
        with driving(self.name):
            for signal, received in ((_POWER, self._on_power), (_PIN, self._on_pin)):
                self._driver.subscribe(f"{self._path}/{signal}/!data", "pub", received)
                self._driver.publish(f"{self._path}/{signal}/ctrl", 1)

    def stop(self) -> Trace:
        """See Meter."""
        with driving(self.name):
            for signal, received in ((_POWER, self._on_power), (_PIN, self._on_pin)):
                self._driver.publish(f"{self._path}/{signal}/ctrl", 0)
                self._driver.unsubscribe(f"{self._path}/{signal}/!data", received)
        if not self._power or not self._pin:
            raise DeviceError("the meter sent no samples", where=self.name, next_step="unplug it and plug it in again")
        power, first, step, lost = _joined(self._power, np.float64)
        pin, pin_first, pin_step, _ = _joined(self._pin, np.uint8)
        falls = np.flatnonzero((pin[:-1] == 1) & (pin[1:] == 0)) + 1
        # Both count samples of one clock; a slower signal counts in larger steps.
        at = np.round((pin_first + falls * pin_step - first) / step).astype(int)
        inside = at[(at >= 0) & (at < len(power))]
        rate = float(self._power[0]["sample_rate"]) / step
        return Trace(rate, power, tuple(int(i) for i in inside), lost, self.name)

    def _on_power(self, topic: str, value: Mapping[str, Any]) -> None:
        self._power.append(value)

    def _on_pin(self, topic: str, value: Mapping[str, Any]) -> None:
        self._pin.append(value)


@contextmanager
def driving(name: str) -> Iterator[None]:
    """What the driver raises (RuntimeError with its code, TimeoutError) as a DeviceError: mostly an unplug."""
    try:
        yield
    except (RuntimeError, OSError) as failed:
        raise DeviceError(
            f"the meter went away, or refuses: {failed}",
            where=name,
            next_step="plug it in again, close Joulescope's own application, and run it again",
        ) from failed


def _joined(blocks: list[Mapping[str, Any]], kind: Any) -> tuple[Any, int, int, int]:
    """Samples of all blocks, the first's number, the step between two, and how many were missing between blocks.

    Gaps and values that aren't finite (a change of range) are filled by interpolation.
    """
    step = int(blocks[0].get("decimate_factor", 1))
    first = int(blocks[0]["sample_id"])
    parts = [np.asarray(block["data"], kind).ravel() for block in blocks]
    starts = [(int(block["sample_id"]) - first) // step for block in blocks]
    total = starts[-1] + len(parts[-1])
    known = np.zeros(total, bool)
    whole = np.zeros(total, kind)
    for start, part in zip(starts, parts, strict=True):
        whole[start : start + len(part)] = part
        known[start : start + len(part)] = np.isfinite(part)
    lost = total - sum(len(part) for part in parts)
    if not known.all() and known.any():
        whole = np.interp(np.arange(total), np.flatnonzero(known), whole[known]).astype(kind)
    return whole, first, step, lost


@contextmanager
def open_joulescope(address: str, plan: Plan) -> Iterator[Joulescope]:
    """A Joulescope by its device path (`u/js220/000123`), or the only one that is plugged in."""
    from pyjoulescope_driver import Driver

    with Driver() as driver:
        paths = [str(path) for path in driver.device_paths()]
        if not paths or (address and address not in paths) or (not address and len(paths) > 1):
            raise DeviceError(
                f"no Joulescope '{address}'" if address else f"{len(paths)} Joulescopes are plugged in",
                where="USB",
                next_step=f"name one: {', '.join(paths)}" if paths else "plug one in; on Linux, `edgeq doctor --udev`",
            )
        path = address or paths[0]
        with driving(path):
            driver.open(path)
        try:
            yield Joulescope(driver, path)
        finally:
            with suppress(RuntimeError, OSError):  # it may be gone
                driver.close(path)
