"""The range whose 8-bit form keeps most information (least Kullback-Leibler divergence), with a guard.

The criterion weighs every value by how often it comes, whatever it means: on tensors full of zeros it clips everything
else away. So a range that it chooses is widened again until its mean squared error is near that of the best range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.methods.mse import MeanSquaredError
from edgeq.quantize.statistics import Floats, Histogram, Statistics, TensorStatistics, edges

_SQUARED_ERROR = MeanSquaredError()


@dataclass(frozen=True)
class Entropy:
    """The method.

    Attributes:
        bins: of the histogram whose information is measured, up to the greatest magnitude.
        levels: it is expressed in.
        guard: how many times the least possible mean squared error is accepted.
    """

    name: str = "entropy"
    bins: int = 2048
    levels: int = 128
    guard: float = 2.0

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The threshold of each tensor, applied to both ends; outputs of the model are not clipped."""
        return {
            index: Range(seen.low, seen.high) if seen.kind == "output" else self._range(seen)
            for index, seen in statistics.tensors.items()
        }

    def _range(self, seen: TensorStatistics) -> Range:
        bound = max(abs(seen.low), abs(seen.high))
        if bound == 0.0:
            return Range(seen.low, seen.high)
        counts = self._linear(seen.histogram, bound)
        thresholds = np.unique(np.geomspace(self.levels, self.bins, 64).astype(int))
        divergence = [_divergence(counts, int(t), self.levels) for t in thresholds]
        best = int(np.argmin(divergence))
        values, count = seen.histogram.values()
        shares = count / count.sum()
        ends = [self._clipped(seen, bound * t / self.bins) for t in thresholds]
        errors = [_SQUARED_ERROR.error(values, shares, min(r.low, 0.0), max(r.high, 0.0)) for r in ends]
        while best + 1 < len(ends) and errors[best] > self.guard * min(errors):
            best += 1
        return ends[best]

    def _linear(self, histogram: Histogram, bound: float) -> Floats:
        """Magnitudes in bins of equal width; zeros don't count: every range has them."""
        total = np.concatenate([[0.0], np.cumsum(histogram.positive + histogram.negative)])
        at = np.interp(np.linspace(0.0, bound, self.bins + 1), edges(), total)
        at[-1] = total[-1]
        counts: Floats = np.diff(at)
        return counts

    @staticmethod
    def _clipped(seen: TensorStatistics, threshold: float) -> Range:
        return Range(max(seen.low, -threshold), min(seen.high, threshold))


def _divergence(counts: Floats, threshold: int, levels: int) -> float:
    """Between the values below `threshold` bins, the rest moved to the last, and their form in `levels` levels."""
    wanted = counts[:threshold].copy()
    wanted[-1] += counts[threshold:].sum()
    level = np.arange(threshold) * levels // threshold
    occupied = counts[:threshold] > 0
    mass = np.bincount(level, counts[:threshold], levels)
    width = np.bincount(level, occupied, levels)
    stored = np.where(occupied, (mass / np.maximum(width, 1))[level], 0.0)
    if wanted.sum() == 0 or stored.sum() == 0:
        return float("inf")
    p, q = wanted / wanted.sum(), stored / stored.sum()
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], 1e-12))))


METHOD = Entropy()
