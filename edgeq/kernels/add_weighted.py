"""ADD of int8 as a weighted sum, where that provably gives every byte that the reference gives.

The reference scales both inputs to a common unit, rounding each, adds, scales and rounds again. Its roundings are so
fine (20 bits below the inputs' units) that, but for ties and near ties, an output is

    (256 * a * M0 >> 16) + (256 * b * M1 >> 16) + C >> 21

which is four instructions: SMLAW twice, SSAT with a shift, STRB. Inputs are bytes, so that there are only 65,536 sums
to compare: every one of them is. Where some C suits all, it is exact; else M0 and M1 are moved a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN, Multiplier
from edgeq.kernels.requantize import rounded_twice

FRACTION = 21
"""Bits below the output's unit; with 21, an input's unit may be as much as four of the output's."""

_BYTES = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)
_MOVES = np.arange(-512, 513, 32)
_CLOSEST = 256
_FAR = 1 << 62
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Addition:
    """What the reference computes with.

    Attributes:
        scale0, scale1: from the inputs' units, shifted left by `left_shift`, to the common one.
        out_scale: from there to the output's.
    """

    zero0: int
    zero1: int
    out_zero: int
    scale0: Multiplier
    scale1: Multiplier
    out_scale: Multiplier
    left_shift: int
    act_min: int
    act_max: int


@dataclass(frozen=True)
class Weights:
    """int32 each; see above."""

    m0: int
    m1: int
    constant: int


@lru_cache(maxsize=256)
def weighted(addition: Addition) -> Weights | None:
    """The weighted sum, or None when there is none."""
    if (addition.act_min, addition.act_max) != (INT8_MIN, INT8_MAX):
        return None
    reals = [
        float(np.ldexp(float(s.value) * addition.out_scale.value, s.shift + addition.out_scale.shift - 62))
        for s in (addition.scale0, addition.scale1)
    ]
    # An input's byte counts 2**left_shift units; 256 of them, shifted by 16, count M.
    m0, m1 = (round(real * 2.0 ** (addition.left_shift + FRACTION + 8)) for real in reals)
    if max(m0, m1) >= (1 << 31) - int(_MOVES[-1]):
        return None
    outputs = _reference(addition)
    least, most = _bounds(outputs, _products(m0)[:, None] + _products(m1)[None, :])
    if least.max() > most.min():
        m0, m1 = _moved(m0, m1, least, most)
    return _checked(outputs, m0, m1)


def _reference(addition: Addition) -> Integers:
    """(256, 256): the output for each a and b from -128 on."""
    terms = [
        rounded_twice(_BYTES - zero << addition.left_shift, *_as_arrays(scale))
        for zero, scale in ((addition.zero0, addition.scale0), (addition.zero1, addition.scale1))
    ]
    sums = terms[0][:, None] + terms[1][None, :]
    result = rounded_twice(sums, *_as_arrays(addition.out_scale))
    return np.clip(result + addition.out_zero, INT8_MIN, INT8_MAX)


def _as_arrays(m: Multiplier) -> tuple[Integers, Integers]:
    return np.array(m.value, np.int64), np.array(m.shift, np.int64)


def _products(m: int) -> Integers:
    """What each byte contributes."""
    return _BYTES * 256 * m >> 16


def _bounds(outputs: Integers, sums: Integers) -> tuple[Integers, Integers]:
    """The least and the greatest constant that gives each output; beyond the ends of int8 any would do."""
    edge = (outputs << FRACTION) - sums
    return np.where(outputs > INT8_MIN, edge, -_FAR), np.where(outputs < INT8_MAX, edge + (1 << FRACTION) - 1, _FAR)


def _moved(m0: int, m1: int, least: Integers, most: Integers) -> tuple[int, int]:
    """Those nearby that leave the constant most room, judged by the pairs of bytes that bound it most closely."""
    closest = [np.argpartition(-least, _CLOSEST, axis=None)[:_CLOSEST], np.argpartition(most, _CLOSEST, axis=None)]
    moved0, moved1 = (_BYTES[:, None] * 256 * _MOVES[None, :] >> 16 for _ in range(2))
    ends = []
    for bounds, at in zip((least, most), (closest[0], closest[1][:_CLOSEST]), strict=True):
        a, b = np.divmod(at, _BYTES.size)
        ends.append(bounds.reshape(-1)[at][:, None, None] - moved0[a][:, :, None] - moved1[b][:, None, :])
    room = ends[1].min(axis=0) - ends[0].max(axis=0)
    i, j = np.unravel_index(int(room.argmax()), room.shape)
    return m0 + int(_MOVES[i]), m1 + int(_MOVES[j])


def _checked(outputs: Integers, m0: int, m1: int) -> Weights | None:
    """With the constant that suits every pair of bytes, if there is one and no partial sum leaves 32 bits."""
    if m0 < 0 or m1 < 0:
        return None
    first = _products(m0)[:, None]
    sums = first + _products(m1)[None, :]
    least, most = (int(end) for end in (_bounds(outputs, sums)[0].max(), _bounds(outputs, sums)[1].min()))
    if least > most:
        return None
    constant = most if least == -_FAR else least if most == _FAR else (least + most) // 2
    room = (1 << 31) - 1 - abs(constant)
    return Weights(m0, m1, constant) if max(int(abs(first).max()), int(abs(sums).max())) <= room else None
