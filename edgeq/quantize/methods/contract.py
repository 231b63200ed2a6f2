"""What a calibration method is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Range:
    """Real values that a tensor's integers must be able to express."""

    low: float
    high: float


class Collector(Protocol):
    """Sees every activation of every calibration sample, then names the ranges."""

    def add(self, tensor: int, values: npt.NDArray[np.float32]) -> None:
        """One tensor's finite values in one sample; called once per tensor and sample, in execution order."""

    def ranges(self) -> Mapping[int, Range]:
        """The range of every tensor seen, by tensor index."""


class Method(Protocol):
    """A row of `edgeq.registry.CALIBRATIONS`."""

    @property
    def name(self) -> str:
        """As in the registry."""

    def start(self) -> Collector:
        """A collector for one model."""
