"""What a meter records, and the inference window in it.

The firmware's pin falls just before the first timed inference and again just after the last: two pulses, low for a few
tens of microseconds (MLPerf Tiny's energy mode). The window is what lies between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.errors import DeviceError

# The board's clock and the meter's may differ: crystals by 100 ppm, RC oscillators by one percent.
_CLOCK_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Trace:
    """Power over time.

    Attributes:
        rate_hz: samples per second.
        power_w: mean power of each sample's period, one-dimensional.
        falls: indices of the samples in which the pin fell.
        lost: samples that didn't arrive; the gaps are filled by interpolation, so that time is right.
        source: the meter, for the report.
    """

    rate_hz: float
    power_w: npt.NDArray[np.float64]
    falls: tuple[int, ...]
    lost: int
    source: str

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """When each sample begins."""
        times: npt.NDArray[np.float64] = np.arange(len(self.power_w)) / self.rate_hz
        return times


def window(trace: Trace, device_seconds: float, meter: str) -> tuple[int, int]:
    """First sample of the inference window and the one after its last.

    Args:
        device_seconds: the window's length by the device's own clock: a pin that isn't wired, or another one, is
            noticed by it.

    Raises:
        DeviceError: not two falling edges, or their distance isn't what the device says.
    """
    falls = trace.falls
    if len(falls) != 2:
        raise DeviceError(
            f"the window pin fell {len(falls)} times while the model ran, not twice",
            where=meter,
            next_step="wire the board's window pin (`edgeq targets show` names it) to the meter's first logic input, "
            "and their grounds together"
            if len(falls) < 2
            else "is it the right pin? Another program, or a loose wire, makes it fall too",
            falls=len(falls),
        )
    start, end = falls
    seconds = (end - start) / trace.rate_hz
    if abs(seconds - device_seconds) > _CLOCK_TOLERANCE * device_seconds + 2.0 / trace.rate_hz:
        raise DeviceError(
            f"the pin marks a window of {seconds:.6g} s, the device says that it took {device_seconds:.6g} s",
            where=meter,
            next_step="is it the window pin that is wired? Did the meter lose samples?",
            pin_seconds=seconds,
            device_seconds=device_seconds,
        )
    return start, end
