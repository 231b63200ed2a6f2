"""What a calibration method is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edgeq.quantize.statistics import Statistics


@dataclass(frozen=True)
class Range:
    """Real values that a tensor's integers must be able to express."""

    low: float
    high: float


class Method(Protocol):
    """A row of `edgeq.registry.CALIBRATIONS`: statistics, collected once, in; ranges out."""

    @property
    def name(self) -> str:
        """As in the registry."""

    def ranges(self, statistics: Statistics) -> Mapping[int, Range]:
        """The range of every tensor seen, by tensor index."""
