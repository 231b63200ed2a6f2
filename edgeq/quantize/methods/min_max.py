"""The true minimum and maximum over all samples: nothing seen in calibration is clipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.quantize.methods.contract import Collector, Range


@dataclass(frozen=True)
class MinMax:
    """The method; it has no parameters."""

    name: str = "min-max"

    def start(self) -> Collector:
        """A collector for one model."""
        return _Extremes()


class _Extremes:
    def __init__(self) -> None:
        self._seen: dict[int, Range] = {}

    def add(self, tensor: int, values: npt.NDArray[np.float32]) -> None:
        low, high = float(values.min()), float(values.max())
        before = self._seen.get(tensor)
        if before is not None:
            low, high = min(low, before.low), max(high, before.high)
        self._seen[tensor] = Range(low, high)

    def ranges(self) -> Mapping[int, Range]:
        return dict(self._seen)


METHOD = MinMax()
