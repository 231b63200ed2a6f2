"""Requantization as the high word of one product, where that provably gives every byte that the reference gives.

As `edgeq.kernels.requantize` explains, with a fused RELU whose zero point is -128 the reference's two roundings are
one: the output is (total * M + C) >> n. Where a kernel has its weights as 16-bit numbers anyway, they may be 256 times
what they stand for, and so are its sums. The constant C then fits into the sum itself: C = M * bias for a whole number
`bias`, as the sum has eight bits below its unit. What is left of a requantization, with M in a register:

    smlad  sum, x, w, bias     the first product of a sum starts from the bias
    ...
    smmul  sum, sum, M
    ssat   sum, #8, sum, asr #8    FRACTION
    strb   sum, [out]

For an output k with the least sum T that gives it, (256 * T + bias) * M >= k << n and
(256 * (T - 1) + bias) * M < k << n must hold, n = 40: with e = ceil((k << n) / M), bias lies in
e - 256 * T ... e - 256 * T + 255. `high_word` looks for a bias within all of these, and moves M where there is none.
Channels whose factor is so small that 128 / factor * 256 exceeds 32 bits take 4 instead of 256.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.kernels.channels import Channels
from edgeq.kernels.requantize import Integers, thresholds

FRACTION = 8
"""Bits below the output's unit in the high word. More make M finer; it has 31 bits, so that with 8 factors from 1/2 on
are excluded."""

SCALED = (8, 2)
"""Sums are 2**8 times what they stand for; of channels with tiny factors, 2**2 times."""

_TRIES = 8
_REACH = 2.0**-10
_FAR = np.int64(1 << 62)
_OUTPUTS = np.arange(-127, 128, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class HighWord:
    """Per channel: output = min(max((((sum << scaled) + bias) * multiplier) >> 40, -128), 127).

    `sum` is of weights times int8 activations, without bias and zero points; with any in its interval
    (sum << scaled) + bias stays within 32 bits.

    Attributes:
        multiplier: (channels,), 0 < multiplier < 2**31.
        bias: (channels,), int32.
        scaled: (channels,), of SCALED.
        fixed: (channels,), bool: the channel never changes; multiplier and bias hold for sums of 0, so that its
            weights must be written as zeros.
    """

    multiplier: Integers
    bias: Integers
    scaled: Integers
    fixed: npt.NDArray[np.bool_]


def high_word(channels: Channels, *, fraction: int = FRACTION, scales: tuple[int, ...] = SCALED) -> HighWord | None:
    """The form of every channel, or None when one has none.

    Args:
        fraction: bits below the output's unit, at least 8.
        scales: sums may be 2**s times what they stand for, for any s of these.
    """
    steps = thresholds(channels)
    if steps is None:
        return None
    least, low, high, real = steps
    least = least[:, 1:]
    reached, passed = least <= high, least > low
    fixed = ~np.any(reached & passed, axis=1)
    # A channel that never changes: (value + 1/2) * 2**(32 + fraction), with a multiplier of 2**30.
    multiplier = np.full(fixed.size, np.int64(1) << 30)
    bias = (2 * reached.sum(axis=1) - 255) << fraction + 1
    scaled = np.full(fixed.size, scales[0])
    reach = np.maximum(abs(low), abs(high))[:, 0]
    left = np.flatnonzero(~fixed)
    for bits in scales:
        m, b = _search(least[left], reached[left], passed[left], real[left], bits, 32 + fraction)
        good = (m > 0) & ((reach[left] << bits) + abs(b) < 1 << 31)
        done = left[good]
        multiplier[done], bias[done], scaled[done] = m[good], b[good], bits
        left = left[~good]
    return None if left.size else HighWord(multiplier, bias, scaled, fixed)


def _search(
    least: Integers,
    reached: npt.NDArray[np.bool_],
    passed: npt.NDArray[np.bool_],
    real: npt.NDArray[np.float64],
    bits: int,
    n: int,
) -> tuple[Integers, Integers]:
    """Multiplier and bias of each channel for sums 2**bits as large; multiplier 0 where none is found."""
    multiplier, bias = np.zeros(real.size, np.int64), np.zeros(real.size, np.int64)
    left = np.arange(real.size)
    pace = np.ldexp(1 / real, bits)
    for step in range(2 * _TRIES):
        if left.size == 0:
            break
        if step == _TRIES:  # costs fifty times as much, and few channels need it
            pace[left] = _narrowest(least[left] << bits, reached[left], passed[left], pace[left])
        best = np.rint(np.minimum((1 << n) / pace[left], float(1 << 32))).astype(np.int64)
        tried = best + (step % _TRIES + 1) // 2 * (1 if step % 2 else -1)
        edge = -((-_OUTPUTS << n) // np.maximum(tried, 1)[:, None]) - (least[left] << bits)
        first = np.where(reached[left], edge, -_FAR).max(axis=1)
        last = np.where(passed[left], edge + (1 << bits) - 1, _FAR).min(axis=1)
        good = (first <= last) & (tried > 0) & (tried < 1 << 31)
        middle = np.where(first == -_FAR, last, np.where(last == _FAR, first, (first + last) >> 1))
        multiplier[left[good]], bias[left[good]] = tried[good], middle[good]
        left = left[~good]
    return multiplier, bias


def _narrowest(
    least: Integers,
    reached: npt.NDArray[np.bool_],
    passed: npt.NDArray[np.bool_],
    pace: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The sum per output, near `pace`, whose line through the thresholds leaves the bias most room.

    The room is what two lines of thresholds leave between them, a concave function of the pace: ternary search.
    """

    def needed(tried: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        edge = _OUTPUTS * tried[:, None] - least
        most, fewest = np.where(reached, edge, -np.inf).max(axis=1), np.where(passed, edge, np.inf).min(axis=1)
        return np.asarray(most - fewest, np.float64)

    low, high = pace * (1 - _REACH), pace * (1 + _REACH)
    for _ in range(48):
        third = (high - low) / 3
        left_better = needed(low + third) < needed(high - third)
        high, low = np.where(left_better, high - third, high), np.where(left_better, low, low + third)
    return np.asarray((low + high) / 2, np.float64)
