"""Channels that provably never change: whatever the input, their output is one value.

Networks trained with weight decay and batch normalization hold many (half of the MLPerf Tiny person
detector's): tiny weights, a huge bias, a scale so small that every possible sum rounds to the same byte. The
proof is interval arithmetic over all int8 inputs, exact because requantization never decreases as the sum grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import Tensor
from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN, Multiplier, requantized, zero_point_of


@dataclass(frozen=True, eq=False)
class Channels:
    """Output channels as a matrix.

    Attributes:
        weights: int8, [channels][depth].
        bias: int32, (channels,).
        multipliers: one per channel, or one for all.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multipliers: tuple[Multiplier, ...]
    in_zero: int
    out_zero: int
    act_min: int
    act_max: int

    @classmethod
    def between(
        cls,
        inp: Tensor,
        out: Tensor,
        weights: npt.NDArray[np.int8],
        bias: npt.NDArray[np.int32],
        multipliers: tuple[Multiplier, ...],
        limits: tuple[int, int],
    ) -> Channels:
        """Those that make `out` of `inp`, clamped to `limits`."""
        return cls(weights, bias, multipliers, zero_point_of(inp), zero_point_of(out), *limits)

    def interval(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The least and the greatest sum of each channel over all inputs in -128..127 (padding included)."""
        weights = self.weights.astype(np.int64)
        positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
        low, high = INT8_MIN - self.in_zero, INT8_MAX - self.in_zero
        bias = self.bias.astype(np.int64)
        return bias + positive * low + negative * high, bias + positive * high + negative * low

    def constants(self) -> dict[int, int]:
        """Channel → the value it always has, for the channels where that is proved.

        Empty where all channels share one scale: such a channel couldn't be written differently.
        """
        if len(self.multipliers) < self.bias.size:
            return {}
        low, high = self.interval()
        found: dict[int, int] = {}
        for channel, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            m = self.multipliers[channel]
            if max(abs(a), abs(b)) << max(m.shift, 0) < 1 << 31:
                first = self._output(a, m)
                if first == self._output(b, m):
                    found[channel] = first
        return found

    def _output(self, total: int, m: Multiplier) -> int:
        """The byte that a sum becomes: MultiplyByQuantizedMultiplier with double rounding, then the clamp."""
        return min(max(requantized(total, m) + self.out_zero, self.act_min), self.act_max)
