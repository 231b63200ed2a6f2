"""An exponential moving average of the samples' extremes, as ai-edge-quantizer's and QAT's observers take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.statistics import Statistics


@dataclass(frozen=True)
class MovingAverage:
    """The method.

    Attributes:
        smoothing: the weight of what was seen before; ai-edge-quantizer's is .95.
    """

    name: str = "moving-average"
    smoothing: float = 0.95

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The average of each tensor, in the order of the samples."""
        return {
            index: Range(self._average(seen.sample_lows), self._average(seen.sample_highs))
            for index, seen in statistics.tensors.items()
        }

    def _average(self, extremes: npt.NDArray[np.float32]) -> float:
        weights = np.full(len(extremes), 1.0 - self.smoothing) * self.smoothing ** np.arange(len(extremes))[::-1]
        weights[0] = self.smoothing ** (len(extremes) - 1)  # it starts at the first sample
        return float(weights @ extremes.astype(np.float64))


METHOD = MovingAverage()
