"""Requantization as one affine step, where that provably gives every byte that the reference gives.

gemmlowp rounds twice: the doubling high multiplication to a unit, then the right shift, half a unit away from zero.
While the result isn't negative both round half up, and two such roundings are one: the output is (total * M + C) >> n
for some M and C. With a fused RELU whose zero point is -128, negative results are clamped, so that this holds for all
that is seen. Outputs never decrease as the sum grows; so it is enough to compare at each threshold: the least sum that
gives each output, and the sum below it. `affine` does that for every channel, within the interval of its sums, and
moves M by a few units where rounding real * 2**n to a whole number puts a threshold on the wrong side.

A kernel's sum starts at 0 and is of activations as they are, weights times bytes: the bias and both zero points
are in the constant. On cores with the DSP extension, n = 34, with `lo`, `hi` and `M` of a channel in registers:

    ldm    r, {M, lo, hi}      once per channel
    mov    l, lo               except for the last sum of the channel, which may use up the constant
    mov    h, hi
    smlal  l, h, sum, M        h:l = sum * M + C
    ssat   h, #8, h, asr #2    FRACTION
    strb   h, [out]

A sum that is 2**k times as large takes the same M, C << k, and k more in the shift of SSAT: `records(scaled=k)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN
from edgeq.kernels.channels import Channels

FRACTION = 2
"""Bits below the output's unit in the high word, unless a kernel says otherwise. More make M finer (it has 31 bits),
and exclude larger factors: with 2, those from 1/8 on. Every RELU channel of the MLPerf Tiny networks' convolutions has
an exact M with it; with 0, four have none, and with 4, nineteen."""

_TRIES = 17
_MOST_REACH = 1 << 30
_OUTPUTS = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)
_FAR = np.int64(1 << 62)
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Affine:
    """Per channel: output = min(max((sum * multiplier + constant) >> (32 + fraction), -128), 127).

    `sum` is of weights times int8 activations, without bias and zero points (but see `affine`); with any in its
    interval the 64-bit sum doesn't overflow.

    Attributes:
        multiplier: (channels,), 0 <= multiplier < 2**31.
        constant: (channels,).
        reach: (channels,), the greatest |sum|.
    """

    multiplier: Integers
    constant: Integers
    reach: Integers

    def records(self, scaled: int = 0) -> npt.NDArray[np.uint32] | None:
        """Rows of (multiplier, constant's low word, constant's high word), for sums that are 2**scaled times as large;
        None where these, or the 64-bit arithmetic, would overflow."""
        large = any(
            (int(r) << scaled) >= 1 << 31 or (int(r) * int(m) + abs(int(c))) << scaled >= 1 << 63
            for r, m, c in zip(self.reach, self.multiplier, self.constant, strict=True)
        )
        if large:
            return None
        constant = (self.constant << scaled).view(np.uint64)
        words = (self.multiplier.astype(np.uint64), constant & np.uint64(0xFFFFFFFF), constant >> np.uint64(32))
        table: npt.NDArray[np.uint32] = np.stack(words, axis=1).astype(np.uint32)
        return table


def affine(channels: Channels, *, biased: bool = False, fraction: int = FRACTION) -> Affine | None:
    """The affine step of every channel, or None when one has none.

    Args:
        biased: sums start with the bias, the input's zero point folded in; channels that share a multiplier share one
            step then.
        fraction: bits below the output's unit.

    Also None where a total could reach 2**31 once shifted left, which the reference would wrap, or a sum 2**30.
    """
    steps = thresholds(channels, biased)
    if steps is None:
        return None
    least, low, high, real = steps
    found = _search(least, low, high, np.ldexp(real, 32 + fraction), 32 + fraction)
    if found is None:
        return None
    return Affine(*found, np.maximum(abs(low), abs(high))[:, 0])


def thresholds(
    channels: Channels, biased: bool = False
) -> tuple[Integers, Integers, Integers, npt.NDArray[np.float64]] | None:
    """Where each channel's output steps up, by sums without bias and zero points.

    Args:
        biased: as for `affine`.

    Returns:
        (channels, 256): the least sum that gives at least -128, -127, ..., high + 1 where none does; (channels, 1)
        each: the least and the greatest sum that it can have; (channels,): the factor by which a sum becomes an output.
        None where a total could reach 2**31 once shifted left, which the reference would wrap, or a sum 2**30.
    """
    count = channels.bias.size
    multipliers = channels.multipliers * (count if len(channels.multipliers) == 1 else 1)
    value = np.array([m.value for m in multipliers], np.int64)[:, None]
    shift = np.array([m.shift for m in multipliers], np.int64)[:, None]
    offset = (channels.bias.astype(np.int64) - channels.in_zero * channels.weights.astype(np.int64).sum(axis=1))[
        :, None
    ]
    totals = channels.interval()
    if biased:
        offset = np.zeros_like(offset)
        if len(channels.multipliers) == 1:
            totals = totals[0].min(keepdims=True), totals[1].max(keepdims=True)
            value, shift, offset = value[:1], shift[:1], offset[:1]
    low, high = totals[0][:, None] - offset, totals[1][:, None] - offset
    if np.any(np.maximum(abs(totals[0]), abs(totals[1])) >= (np.int64(1) << 31) >> np.maximum(shift[:, 0], 0)):
        return None
    if np.any(np.maximum(abs(low), abs(high)) >= _MOST_REACH):
        return None

    def output(sums: Integers) -> Integers:
        return np.clip(
            rounded_twice(sums + offset, value, shift) + channels.out_zero, channels.act_min, channels.act_max
        )

    return _least_sums(output, low, high), low, high, np.ldexp(value[:, 0].astype(np.float64), shift[:, 0] - 31)


def rounded_twice(totals: Integers, value: Integers, shift: Integers) -> Integers:
    """`arithmetic.requantized` of many totals."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    y = ((totals << left) * value + (1 << 30)) >> 31
    return np.where(right > 0, (y + (1 << right >> 1) - (y < 0)) >> right, y)


def _least_sums(output: Callable[[Integers], Integers], low: Integers, high: Integers) -> Integers:
    """(channels, outputs): the least sum in low..high whose output is at least so much; high + 1 where none is."""
    shape = (low.size, _OUTPUTS.size)
    below, above = np.broadcast_to(low, shape), np.broadcast_to(high + 1, shape)
    while np.any(below < above):
        middle = (below + above) >> 1
        enough = output(np.minimum(middle, high)) >= _OUTPUTS
        open_ = below < above
        above = np.where(open_ & enough, middle, above)
        below = np.where(open_ & ~enough, middle + 1, below)
    return below


def _search(
    least: Integers, low: Integers, high: Integers, ideal: npt.NDArray[np.float64], n: int
) -> tuple[Integers, Integers] | None:
    """Multiplier and constant of each channel.

    For an output k from -127 on with the least sum T that gives it: T * M + C >= k << n, and (T - 1) * M + C < k << n.
    """
    edges = _OUTPUTS[1:] << n
    least = least[:, 1:]
    reached, passed = least <= high, least > low
    first = np.clip(np.rint(ideal), 0, (1 << 31) - 1).astype(np.int64)
    # A channel that never changes takes no multiplier: its sums may be of any size.
    first[~np.any(reached & passed, axis=1)] = 0
    multiplier, constant = np.zeros_like(first), np.zeros_like(first)
    left = np.arange(first.size)
    for step in range(_TRIES):
        tried = first[left] + (step + 1) // 2 * (1 if step % 2 else -1)
        product = least[left] * tried[:, None]
        least_c = np.where(reached[left], edges - product, -_FAR).max(axis=1)
        most_c = np.where(passed[left], edges - product + tried[:, None], _FAR).min(axis=1) - 1
        good = (least_c <= most_c) & (tried >= 0) & (tried < 1 << 31)
        multiplier[left[good]] = tried[good]
        constant[left[good]] = _between(least_c, most_c, n)[good]
        left = left[~good]
        if left.size == 0:
            return multiplier, constant
    return None


def _between(least: Integers, most: Integers, n: int) -> Integers:
    """The middle; beside the end that there is, where the other is open (only the lowest or the highest output)."""
    unit = np.int64(1) << n
    middle = (least >> 1) + (most >> 1)
    return np.where(least == -_FAR, most - unit, np.where(most == _FAR - 1, least + unit, middle))
