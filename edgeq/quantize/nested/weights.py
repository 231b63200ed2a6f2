"""Which int8 weights make good 4- and 2-bit weights of their highest bits.

For each output channel and each precision b the layer's error on calibration data is a quadratic in the weights that it
computes with, E_b = v H_b v - 2 r_b v + y: H_b the second moments of the inputs as they are when the layers in front
run at b bits, r_b their products with the float layer's output. All precisions share one array of int8 weights, so
what is minimized is the sum over them of log(E_b + e), e the error that rounding the layer's output makes anyway:
halving the error is worth as much at every precision, and nothing is gained below the output's own step.

Weights start rounded to the nearest; then one after another is moved to where the sum is least. Quadratics from
calibration are GPTQ's (Frantar et al. 2022, arXiv:2210.17323), several sliced precisions in one objective MatQuant's
(Nair et al. 2025, arXiv:2502.06786).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import Int8, slice_weights

Array = npt.NDArray[np.float64]

_LARGEST = 127
_RANGES = np.linspace(0.4, 1.0, 13)
"""Scales that are tried, as shares of the one at which nothing is clipped."""
_SWEEPS = 4
_FARTHEST = 4.0
"""How many times larger or smaller a precision's scale may be than what its bits are worth at 8 bits."""
_DAMPING = 1e-3
"""Added to the diagonal of H, as a share of its mean, so that inputs that are always zero don't leave weights free."""


@dataclass(frozen=True, eq=False)
class Moments:
    """What calibration says of one layer at one precision.

    Attributes:
        inputs: H, (depth, depth): mean of x xT.
        products: r, (channels, depth): mean of y xT, y the float layer's output without its bias.
        outputs: (channels,): mean of y².
    """

    inputs: Array
    products: Array
    outputs: Array

    @classmethod
    def of(cls, inputs: Array, wanted: Array) -> Moments:
        """Of samples: (count, depth) and (count, channels)."""
        count = len(inputs)
        second = inputs.T @ inputs / count
        damping = _DAMPING * float(np.mean(np.diag(second))) + 1e-12
        return cls(second + damping * np.eye(len(second)), wanted.T @ inputs / count, (wanted**2).mean(axis=0))

    def scales(self, values: Array) -> Array:
        """The factor for each channel's weights that makes the least error."""
        power = np.einsum("ck,ck->c", values @ self.inputs, values)
        found: Array = np.einsum("ck,ck->c", values, self.products) / np.maximum(power, 1e-30)
        return found

    def errors(self, weights: Array) -> Array:
        """Mean square of each channel's error."""
        found = np.einsum("ck,ck->c", weights @ self.inputs - 2 * self.products, weights) + self.outputs
        floored: Array = np.maximum(found, 0.0)
        return floored


@dataclass(frozen=True, eq=False)
class Chosen:
    """The weights of one layer.

    Attributes:
        weights: int8, (channels, depth).
        scales: bits → (channels,): real weight = scale * slice_weights(weights, bits).
    """

    weights: Int8
    scales: Mapping[int, Array]

    def sliced(self, bits: int) -> Array:
        """What a precision computes with, before its scale."""
        return slice_weights(self.weights, bits).astype(np.float64)


def choose(
    weights: Array, moments: Mapping[int, Moments], floor: float, counted: Collection[int] | None = None
) -> Chosen:
    """Int8 weights for one layer.

    Args:
        weights: float, (channels, depth).
        moments: bits → what calibration says at that precision; 8 is among them.
        floor: the mean square of what rounding the layer's output adds.
        counted: the precisions whose errors count; all of them unless told.
    """
    search = _Search(weights, moments, floor, moments if counted is None else counted)
    search.choose_ranges()
    for _ in range(_SWEEPS):
        search.sweep()
        search.fit_scales()
    return Chosen(search.codes.astype(np.int8), dict(search.scales))


class _Search:
    """Codes and scales, improved step by step."""

    def __init__(self, weights: Array, moments: Mapping[int, Moments], floor: float, counted: Collection[int]) -> None:
        self.weights = weights
        self.moments = moments
        self.counted = {bits: known for bits, known in moments.items() if bits in counted}
        self.floor = floor
        self.codes = np.zeros(weights.shape, np.int64)
        self.scales: dict[int, Array] = {}

    def choose_ranges(self) -> None:
        """For each channel the scale whose rounded weights are best, over all precisions."""
        widest = np.maximum(np.abs(self.weights).max(axis=1), 1e-9)
        best = np.full(len(self.weights), np.inf)
        for bits in self.moments:
            self.scales[bits] = np.ones(len(self.weights))
        for share in _RANGES:
            scale = share * widest / _LARGEST
            codes = np.clip(np.rint(self.weights / scale[:, None]), -_LARGEST, _LARGEST).astype(np.int64)
            scales = {bits: self._scales(codes, bits, scale) for bits in self.moments}
            score = self._score(codes, scales)
            better = score < best
            best[better] = score[better]
            self.codes[better] = codes[better]
            for bits, found in scales.items():
                self.scales[bits][better] = found[better]

    def _scales(self, codes: npt.NDArray[np.int64], bits: int, scale: Array) -> Array:
        """The best for these codes, near the one that 8-bit weights with `scale` suggest: inputs that are always zero
        would allow any."""
        if bits == 8:
            return scale
        own = scale * (16 if bits == 4 else 32)
        return np.clip(self.moments[bits].scales(_sliced(codes, bits)), own / _FARTHEST, own * _FARTHEST)

    def _score(self, codes: npt.NDArray[np.int64], scales: Mapping[int, Array]) -> Array:
        total = np.zeros(len(codes))
        for bits, known in self.counted.items():
            total += np.log(known.errors(_sliced(codes, bits) * scales[bits][:, None]) + self.floor)
        return total

    def fit_scales(self) -> None:
        """The lower precisions' scales anew, for the codes as they are now."""
        for bits in self.moments:
            self.scales[bits] = self._scales(self.codes, bits, self.scales[8])

    def sweep(self) -> None:
        """Each weight once, in all channels at a time."""
        gradients, importance = {}, {}
        for bits, known in self.counted.items():
            real = _sliced(self.codes, bits) * self.scales[bits][:, None]
            gradients[bits] = real @ known.inputs - known.products
            importance[bits] = 1.0 / (known.errors(real) + self.floor)
        nearest = self.weights / self.scales[8][:, None]
        rows = np.arange(len(self.codes))
        for k in range(self.codes.shape[1]):
            now = self.codes[:, k]
            tried = _candidates(now, nearest[:, k])
            change = np.zeros(tried.shape)
            moves = {}
            for bits, known in self.counted.items():
                step = (_sliced(tried, bits) - _sliced(now, bits)) * self.scales[bits]
                moves[bits] = step
                cost = step * (2 * gradients[bits][:, k] + step * known.inputs[k, k])
                change += cost * importance[bits]
            taken = np.argmin(change, axis=0)
            self.codes[:, k] = tried[taken, rows]
            for bits, known in self.counted.items():
                gradients[bits] += moves[bits][taken, rows][:, None] * known.inputs[k]


def _candidates(now: npt.NDArray[np.int64], nearest: Array) -> npt.NDArray[np.int64]:
    """Codes that a weight may move to, (tried, channels): where it is, the nearest to the float weight, one step, and
    the nearest in the neighbouring cells of the lower precisions."""
    close = np.clip(np.rint(nearest), -_LARGEST, _LARGEST).astype(np.int64)
    found = [now, close, now - 1, now + 1]
    for width, offset in ((16, 8), (64, 0)):
        for step in (-1, 1):
            start = ((now + offset) // width + step) * width - offset
            found.append(np.clip(close, start, start + width - 1))
    tried: npt.NDArray[np.int64] = np.clip(np.stack(found), -128, _LARGEST)
    return tried


def _sliced(codes: npt.NDArray[np.int64], bits: int) -> Array:
    return slice_weights(codes.astype(np.int8), bits).astype(np.float64)
