"""The true minimum and maximum over all samples: nothing seen in calibration is clipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.quantize.methods.contract import Range
from edgeq.quantize.statistics import Statistics


@dataclass(frozen=True)
class MinMax:
    """The method; it has no parameters."""

    name: str = "min-max"

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The exact extremes of each tensor."""
        return {index: Range(seen.low, seen.high) for index, seen in statistics.tensors.items()}


METHOD = MinMax()
