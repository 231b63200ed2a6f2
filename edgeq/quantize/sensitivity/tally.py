"""A layer's error over all samples, divided among what it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import Tensor
from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.sensitivity.products import COMPONENTS, Component

Array = npt.NDArray[Any]
_UNEXPLAINED = 0.2
"""Share of an arithmetic error that a wrong scale or zero point may leave unexplained."""


@dataclass
class Tally:
    """Sums over samples of one layer's errors; mutable while it counts, and nobody else's."""

    tensor: Tensor
    signal: float = 0.0
    noise: float = 0.0
    energies: dict[Component, float] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 0.0))
    corrected: float = 0.0
    elements: int = 0
    wrapped: int = 0
    moments: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, wanted: Array, should: Array, weights: Array, bias: Array, real: Array) -> None:
        """One sample: float output, float output of the quantized inputs, the same with quantized weights, and with
        quantized bias too, and the integer output as real values."""
        self.signal += energy(wanted)
        self.noise += energy(real - should)
        self.energies["weights"] += energy(weights - should)
        self.energies["bias"] += energy(bias - weights)
        self.corrected += energy(bias - should)
        self.elements += real.size
        if self.tensor.quant is None:
            self.energies["arithmetic"] += energy(real - bias)
            return
        ideal = dequantized(self.tensor, quantized(self.tensor, bias)).reshape(bias.shape)
        gap = ideal - bias
        outside = np.abs(gap) > 0.5001 * float(self.tensor.quant.scale[0])
        self.energies["clipping"] += energy(gap[outside])
        self.energies["rounding"] += energy(gap[~outside])
        self.energies["arithmetic"] += energy(real - ideal)
        whole = float(self.tensor.quant.scale[0]) * 2.0**self.tensor.dtype.bits
        self.wrapped += int(np.sum(np.abs(real - ideal) > whole / 2))
        x, y = ideal.astype(np.float64).ravel(), real.astype(np.float64).ravel()
        self.moments += (x.size, x.sum(), y.sum(), float(x @ x), float(x @ y), float(y @ y))

    @property
    def own_sqnr_db(self) -> float | None:
        return decibels(self.signal, self.noise)

    def shares(self) -> Mapping[Component, float]:
        energies = dict(self.energies)
        if self.corrected < energies["weights"]:  # a bias that makes up for the weights' error was corrected on purpose
            energies["weights"], energies["bias"] = self.corrected, 0.0
        whole = sum(energies.values())
        return {name: energy / whole if whole else 0.0 for name, energy in energies.items()}

    def distortion(self) -> tuple[float, float]:
        """Least squares: integer output = factor × what it should be + offset; (1, 0) where that explains little."""
        count, x, y, xx, xy, yy = self.moments
        spread = count * xx - x * x
        if self.tensor.quant is None or spread <= 1e-12 * max(1.0, count * xx):
            return 1.0, 0.0
        factor = (count * xy - x * y) / spread
        offset = (y - factor * x) / count
        left = yy - 2 * factor * xy - 2 * offset * y + factor**2 * xx + 2 * factor * offset * x + count * offset**2
        if left > _UNEXPLAINED * (yy - 2 * xy + xx):
            return 1.0, 0.0
        return float(factor), float(offset / float(self.tensor.quant.scale[0]))


def decibels(signal: float, noise: float) -> float | None:
    """10 log10 of their ratio; None without a signal, infinite without noise."""
    if signal <= 0.0:
        return None
    return math.inf if noise <= 0.0 else 10.0 * math.log10(signal / noise)


def energy(values: Array) -> float:
    """The sum of squares."""
    return float(np.sum(np.square(values, dtype=np.float64)))
