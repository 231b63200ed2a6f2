"""A percentile of all values: the rarest are clipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.statistics import Statistics, TensorStatistics


@dataclass(frozen=True)
class Percentile:
    """The method.

    Attributes:
        percent: of the values that are not clipped on either side. An output of the model is not clipped at all: its
            rarest values are what decides.
    """

    name: str = "percentile"
    percent: float = 99.99

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The quantiles of each tensor's histogram."""
        return {index: self._range(seen) for index, seen in statistics.tensors.items()}

    def _range(self, seen: TensorStatistics) -> Range:
        if seen.kind == "output":
            return Range(seen.low, seen.high)
        values, counts = seen.histogram.values()
        share = np.cumsum(counts) / counts.sum()
        tail = 1.0 - self.percent / 100.0
        low = values[np.searchsorted(share, tail, side="right")]
        high = values[np.searchsorted(share, 1.0 - tail)]
        return Range(max(float(low), seen.low), min(float(high), seen.high))


METHOD = Percentile()
