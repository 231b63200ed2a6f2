"""Paired weights: two channels in one half word, for the products of kernels/dsp/mat_*_paired_dsp.inc.

The half word is 256 * B + A, exactly, as one signed number: it multiplies without having been unpacked. That halves the
unpacking; A has to be unpacked still. How the sums are separated again, and what that asks of them, is below.
Convolutions finish four channels at a time, of which 0 and 2 are A, 1 and 3 are B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op
from edgeq.kernels import dsp, requantize
from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant
from edgeq.kernels.high_word import high_word

_WIDE = 1 << 31
SCALED = 8
"""Sums of the channels B are 2**8 times as large as they are."""
TILE_FRACTION = 10
"""Of the high word, for convolutions: their factors are small, below 1/8. finish_high_dsp.inc has it too."""


def half_words(low: npt.NDArray[np.int8], high: npt.NDArray[np.int8]) -> npt.NDArray[np.int16] | None:
    """256 * high + low, or None where that doesn't fit: -128 above a negative weight."""
    both = 256 * high.astype(np.int32) + low.astype(np.int32)
    return both.astype(np.int16) if both.size == 0 or both.min() >= -(1 << 15) else None


def pack_fours(weights: npt.NDArray[np.int8]) -> bytes | None:
    """[channels][depth], channels a multiple of four: for each four of them, for each pair of inputs, two words."""
    paired = dsp.in_sxtb16_order(weights)
    groups = paired.reshape(paired.shape[0] // 4, 2, 2, paired.shape[1], 2).transpose(0, 3, 1, 4, 2)
    halves = half_words(groups[..., 0], groups[..., 1])
    return None if halves is None else halves.astype("<i2").tobytes()


def pack_nines(weights: npt.NDArray[np.int8]) -> bytes:
    """[channels][3][9], channels a multiple of four: for each four of them, for each row, two words for each of four
    neighbouring pairs, then a word for the last value, a half of it for each two channels."""
    halves = half_words(weights[0::2], weights[1::2])
    assert halves is not None
    groups = halves.reshape(weights.shape[0] // 4, 2, 3, 9).transpose(0, 2, 1, 3)
    pairs = groups[..., :8].reshape(*groups.shape[:3], 4, 2).swapaxes(2, 3)
    rows: npt.NDArray[np.int16] = np.concatenate([pairs.reshape(*groups.shape[:2], 16), groups[..., 8]], axis=2)
    return rows.astype("<i2").tobytes()


def pack_rows(weights: npt.NDArray[np.int8]) -> bytes | None:
    """[rows][depth]: eight rows a time, four words for each pair of inputs; the rest two rows a time."""
    eights = weights.shape[0] // 8 * 4
    if weights.shape[0] % 2:
        weights = np.vstack([weights, np.zeros((1, weights.shape[1]), np.int8)])
    halves = half_words(*(dsp.in_sxtb16_order(weights[i::2]) for i in (0, 1)))  # [rows / 2][pairs][2]
    if halves is None:
        return None
    pairs = halves.shape[1]
    blocks = halves[:eights].reshape(-1, 4, pairs, 2).transpose(0, 2, 1, 3)
    return blocks.astype("<i2").tobytes() + halves[eights:].astype("<i2").tobytes()


def sums_separate(channels: Channels) -> bool:
    """Whether 256 * sum(B) + sum(A) - sum(A) is 256 * sum(B) in 32 bits, and so is the difference of any two such."""
    weights = abs(channels.weights.astype(np.int64)).sum(axis=1)
    return bool(np.all(256 * weights << SCALED < _WIDE))


@dataclass(frozen=True, eq=False)
class Records:
    """What the epilogue of a convolution's product takes.

    Attributes:
        high: the high word of one product per channel, else two roundings.
        words: uint32, [groups of four channels][words].
        fixed: (channels,), bool: the channel never changes, which its record says of sums of 0.
    """

    high: bool
    words: npt.NDArray[np.uint32]
    fixed: npt.NDArray[np.bool_]

    def needed(self, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """[channels][...] with zeros where the record needs them."""
        fixed = self.fixed.reshape(-1, *(1,) * (weights.ndim - 1))
        return np.where(fixed, np.int8(0), weights)

    def pack(self, weights: npt.NDArray[np.int8]) -> bytes | None:
        """[channels][depth] as `pack_fours` has them, with zeros where the record needs them."""
        return pack_fours(self.needed(weights))


def records(channels: Channels) -> Records | None:
    """The records of these channels, a multiple of four; None where the paired products can't finish them."""
    if not sums_separate(channels):
        return None
    found = high_word(channels, fraction=TILE_FRACTION, scales=(SCALED,))
    if found is not None:
        fours = np.stack([found.bias, found.multiplier]).reshape(2, -1, 4)
        bias, multiplier = fours[0].T, fours[1].T
        columns = (bias[1], bias[3], bias[0], multiplier[0], multiplier[1], bias[2], multiplier[2], multiplier[3])
        return Records(True, (np.stack(columns, axis=1) & 0xFFFFFFFF).astype(np.uint32), found.fixed)
    table = _twice_rounded(channels)
    if table is None:
        return None
    return Records(False, table.reshape(len(table) // 4, -1), np.zeros(len(table), np.bool_))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a matrix for a product whose sums start with the bias.

    Attributes:
        affine: one affine step per channel, else two roundings.
        shared: all even rows have one record, and all odd ones.
        bias, records: as the product reads them.
    """

    affine: bool
    shared: bool
    bias: bytes
    records: bytes


def rows(channels: Channels) -> Rows | None:
    """The rows' biases and records, None where the paired product can't finish them."""
    low, high = channels.interval()
    if not sums_separate(channels) or np.any(np.maximum(abs(low), abs(high)) << SCALED >= _WIDE):
        return None
    found = requantize.affine(channels, biased=True)
    even, odd = (None, None) if found is None else (found.records(), found.records(SCALED))
    affine = even is not None and odd is not None
    if not affine:
        table = _twice_rounded(channels)
        if table is None:
            return None
        even = odd = table[:, 1:]
    assert even is not None and odd is not None
    shared = len(channels.multipliers) == 1
    count = 2 if shared else dsp.round_up(channels.bias.size, 2)
    records = np.zeros((count, 3), np.uint32)
    if shared:
        records[0], records[1] = even[0], odd[0]
    else:
        records[0::2], records[1 : len(odd) : 2] = even[0::2], odd[1::2]
    bias = np.zeros(dsp.round_up(channels.bias.size, 2), np.int64)
    sums = channels.weights.astype(np.int64).sum(axis=1)
    bias[: channels.bias.size] = channels.bias.astype(np.int64) - channels.in_zero * sums
    bias[1::2] = (bias[1::2] << SCALED) + bias[0::2]
    return Rows(affine, shared, (bias & 0xFFFFFFFF).astype("<u4").tobytes(), records.astype("<u4").tobytes())


def _twice_rounded(channels: Channels) -> npt.NDArray[np.uint32] | None:
    """Rows of (2 * bias, multiplier, rounding, right shift); None where sums are large, a clamp is tight, or a channel
    isn't shifted right."""
    tight = channels.act_min > INT8_MIN or channels.act_max < INT8_MAX
    if tight or not dsp.sums_stay_small(channels):
        return None
    fixed = channels.constants()
    sums = channels.weights.astype(np.int64).sum(axis=1)
    bias = channels.bias.astype(np.int64) - channels.in_zero * sums
    rows = []
    for i in range(channels.bias.size):
        m = channels.multipliers[i if len(channels.multipliers) > 1 else 0]
        if i in fixed:
            rows.append((0, 0, 2 * fixed[i] + 1, 1))  # less 1 where the sum is negative, halved
        elif m.shift >= 0:
            return None
        else:
            rows.append((2 * int(bias[i]), m.value, (1 << -m.shift >> 1) + (channels.out_zero << -m.shift), -m.shift))
    return (np.array(rows, np.int64) & 0xFFFFFFFF).astype(np.uint32)


def constants(packed: bytes, found: Records) -> tuple[Constant, ...]:
    """The two constants of a paired product."""
    return (
        Constant("weights", "int8_t", packed),
        Constant("records", "int32_t", found.words.astype("<u4").tobytes(), "parameters"),
    )


def is_nested(graph: Graph, op: Op) -> bool:
    """Whether lower precisions use the same weights, in the order of the other products."""
    return graph.nested is not None and any(layer.weights in op.inputs for layer in graph.nested.layers)
