"""Energy per inference: windows of many inferences, idle subtracted, repeated until the mean's uncertainty is known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from edgeq.errors import DeviceError, UsageError
from edgeq.events import Listener, Progress, silent
from edgeq.measure.energy.trace import Trace, window

MIN_WINDOWS = 3
"""Windows, below which a spread says nothing."""

# Student's t, two-sided 95 %, for 1, 2, … degrees of freedom; above, the last.
_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_IDLE_S = 0.5
_AFTER_S = 0.1
# Of the idle stretch: what the console's last characters cost isn't idle.
_SETTLING_S = 0.1
_LOST_SHARE = 1e-3


class Meter(Protocol):
    """An open meter; see `edgeq.measure.energy.meters`."""

    @property
    def name(self) -> str:
        """For reports: kind, port, supply voltage."""
        ...

    @property
    def shortest_window_s(self) -> float:
        """Below this its figures are worth nothing: a thousand of its samples."""
        ...

    def start(self) -> None:
        """Begin to record.

        Raises:
            DeviceError: it doesn't answer.
        """
        ...

    def stop(self) -> Trace:
        """End the recording and give it.

        Raises:
            DeviceError: nothing arrived, or nonsense.
        """
        ...


@dataclass(frozen=True)
class Plan:
    """How energy is measured.

    Attributes:
        meter: a name in `edgeq.registry.METERS`, with `:ADDRESS` where it has one.
        supply_v: that the meter gives to the board, or that the board has.
        source: the meter supplies the board; False: it stands in a supply that is there.
        window_s: length of a window (MLPerf Tiny: 10 s at least).
        windows: how many (MLPerf Tiny: five).
    """

    meter: str
    supply_v: float = 3.3
    source: bool = False
    window_s: float = 10.0
    windows: int = 5


@dataclass(frozen=True, eq=False)
class MeteredEnergy:
    """Energy per inference.

    Attributes:
        uj: of each window, per inference, all that flows.
        above_idle_uj: the same less what flows without inference.
        inferences: in a window; `window_s`: its length, the mean.
        active_mw, idle_mw: mean power.
        meter: its name; `lost`: samples that didn't arrive, of `samples`.
        provenance: "measured", or "simulated" where the board is.
        traces: of all windows.
        spans: of each trace, the window's first sample and the one after its last.
    """

    uj: tuple[float, ...]
    above_idle_uj: tuple[float, ...]
    inferences: int
    window_s: float
    active_mw: float
    idle_mw: float
    meter: str
    samples: int
    lost: int
    provenance: Literal["measured", "simulated"]
    traces: tuple[Trace, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def uj_per_inference(self) -> float:
        """The windows' mean."""
        return float(np.mean(self.uj))

    @property
    def uncertainty_uj(self) -> float:
        """Half the 95 % interval of the mean (Student's t over the windows). The meter's own accuracy comes on top."""
        count = len(self.uj)
        t = _T_95[min(count - 2, len(_T_95) - 1)]
        return t * float(np.std(self.uj, ddof=1)) / math.sqrt(count)

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return {
            "uj_per_inference": round(self.uj_per_inference, 4),
            "uncertainty_uj": round(self.uncertainty_uj, 4),
            "median_uj": round(float(np.median(self.uj)), 4),
            "above_idle_uj": round(float(np.mean(self.above_idle_uj)), 4),
            "windows_uj": [round(value, 4) for value in self.uj],
            "inferences_per_window": self.inferences,
            "window_s": round(self.window_s, 6),
            "active_mw": round(self.active_mw, 4),
            "idle_mw": round(self.idle_mw, 4),
            "samples": self.samples,
            "lost_samples": self.lost,
            "provenance": self.provenance,
            "source": self.meter,
        }


def inferences_for(plan: Plan, latency_s: float, meter: Meter) -> int:
    """How many inferences fill a window.

    Raises:
        UsageError: the window asked for is too short for the meter, or the windows are too few.
    """
    if plan.window_s < meter.shortest_window_s:
        raise UsageError(
            f"a window of {plan.window_s:g} s is too short for {meter.name}: {meter.shortest_window_s:g} s at least",
            next_step=f"--window-seconds {max(10.0, meter.shortest_window_s):g}",
        )
    if plan.windows < MIN_WINDOWS:
        raise UsageError(
            f"{plan.windows} windows tell no uncertainty", next_step=f"--windows {MIN_WINDOWS}, or more; MLPerf takes 5"
        )
    return max(1, math.ceil(plan.window_s / latency_s))


def measure(
    plan: Plan,
    meter: Meter,
    latency_s: float,
    infer: Callable[[int], float],
    provenance: Literal["measured", "simulated"],
    listener: Listener = silent,
) -> MeteredEnergy:
    """Energy per inference on a device.

    Args:
        latency_s: of one inference, as known so far.
        infer: runs so many inferences and gives the seconds that they took by the device's clock; the pin falls around
            them.

    Raises:
        UsageError: see `inferences_for`.
        DeviceError: the meter, the pin, or too many samples lost.
    """
    count = inferences_for(plan, latency_s, meter)
    found: list[_Window] = []
    for number in range(plan.windows):
        listener(Progress("energy", number, plan.windows, "windows", f"{count:,} inferences each"))
        meter.start()
        try:
            time.sleep(_IDLE_S)
            seconds = infer(count)
            time.sleep(_AFTER_S)
        finally:
            trace = meter.stop()
        found.append(_window(trace, seconds, count, meter.name))
    listener(Progress("energy", plan.windows, plan.windows, "windows"))
    return _sum(found, count, meter.name, provenance)


@dataclass(frozen=True, eq=False)
class _Window:
    trace: Trace
    span: tuple[int, int]
    uj: float
    above_idle_uj: float
    active_w: float
    idle_w: float


def _window(trace: Trace, device_seconds: float, count: int, meter: str) -> _Window:
    total = len(trace.power_w)
    if trace.lost > _LOST_SHARE * max(1, total):
        raise DeviceError(
            f"{trace.lost:,} of {total:,} samples were lost",
            where=meter,
            next_step="connect it to a USB port of its own, and run nothing else meanwhile",
            lost=trace.lost,
        )
    start, end = window(trace, device_seconds, meter)
    # Idle is before the warm-up, at the very beginning.
    until = round((_IDLE_S - _SETTLING_S) * trace.rate_hz)
    idle_w = float(trace.power_w[: min(until, start)].mean()) if start else 0.0
    active_w = float(trace.power_w[start:end].mean())
    seconds = (end - start) / trace.rate_hz
    each = seconds / count
    return _Window(trace, (start, end), active_w * each * 1e6, (active_w - idle_w) * each * 1e6, active_w, idle_w)


def _sum(
    found: Sequence[_Window], count: int, meter: str, provenance: Literal["measured", "simulated"]
) -> MeteredEnergy:
    return MeteredEnergy(
        uj=tuple(w.uj for w in found),
        above_idle_uj=tuple(w.above_idle_uj for w in found),
        inferences=count,
        window_s=float(np.mean([(w.span[1] - w.span[0]) / w.trace.rate_hz for w in found])),
        active_mw=1000 * float(np.mean([w.active_w for w in found])),
        idle_mw=1000 * float(np.mean([w.idle_w for w in found])),
        meter=meter,
        samples=sum(len(w.trace.power_w) for w in found),
        lost=sum(w.trace.lost for w in found),
        provenance=provenance,
        traces=tuple(w.trace for w in found),
        spans=tuple(w.span for w in found),
    )
