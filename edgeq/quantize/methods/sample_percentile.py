"""A percentile of the samples' own extremes: what most samples need, whatever the oddest of them asks for.

Against percentiles of all values it has the advantage that rare but regular peaks (a class score, an edge) are kept
whole as long as most samples have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.statistics import Statistics


@dataclass(frozen=True)
class SamplePercentile:
    """The method.

    Attributes:
        percent: of the samples whose maximum (and minimum) lie inside the range.
    """

    name: str = "sample-percentile"
    percent: float = 90.0

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The percentile of the maxima, and of the minima from the other side."""
        return {
            index: Range(
                float(np.percentile(seen.sample_lows, 100.0 - self.percent)),
                float(np.percentile(seen.sample_highs, self.percent)),
            )
            for index, seen in statistics.tensors.items()
        }


METHOD = SamplePercentile()
