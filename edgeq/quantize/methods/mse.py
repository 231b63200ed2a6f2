"""The range with the least mean squared error between values and their 8-bit forms: rounding against clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.statistics import Floats, Statistics, TensorStatistics


@dataclass(frozen=True)
class MeanSquaredError:
    """The method.

    Attributes:
        levels: steps between the ends of a range.
        shrinks: by which factors the ends are tried nearer to zero.
    """

    name: str = "mse"
    levels: int = 255
    shrinks: tuple[float, ...] = tuple(2.0 ** (-i / 8) for i in range(65))

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The best of the candidates for each tensor."""
        return {index: self._range(seen) for index, seen in statistics.tensors.items()}

    def _range(self, seen: TensorStatistics) -> Range:
        values, counts = seen.histogram.values()
        low, high = min(seen.low, 0.0), max(seen.high, 0.0)
        if low == high:
            return Range(seen.low, seen.high)
        weights = counts / counts.sum()
        # One end after the other, the wider first, until nothing changes: the ends hardly depend on each other.
        for _ in range(2):
            for end in sorted(("low", "high"), key=lambda e: abs(low if e == "low" else high), reverse=True):
                if end == "low" and low < 0.0:
                    low = min((low * s for s in self.shrinks), key=lambda x: self.error(values, weights, x, high))
                elif end == "high" and high > 0.0:
                    high = min((high * s for s in self.shrinks), key=lambda x: self.error(values, weights, low, x))
        return Range(low, high)

    def error(self, values: Floats, weights: Floats, low: float, high: float) -> float:
        """The mean squared error of values, with their shares, in the range `low` to `high`."""
        step = (high - low) / self.levels
        stored = np.clip(np.rint((values - low) / step), 0, self.levels)
        return float(weights @ (stored * step + low - values) ** 2)


METHOD = MeanSquaredError()
