"""ADD as a weighted sum against gemmlowp's arithmetic, for every pair of bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeq.kernels import fixed_point
from edgeq.kernels.add_weighted import FRACTION, Addition, weighted
from edgeq.kernels.arithmetic import quantize_multiplier

_BYTES = range(-128, 128)


def addition(s0: float, s1: float, s_out: float, zeros: tuple[int, int, int] = (3, -7, -128)) -> Addition:
    """As add.cc prepares it."""
    twice = 2 * max(s0, s1)
    scales = (quantize_multiplier(s) for s in (s0 / twice, s1 / twice, twice / ((1 << 20) * s_out)))
    return Addition(*zeros, *scales, 20, -128, 127)


def exact(c: Addition) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The reference, value by value."""
    terms = [
        [fixed_point.multiplied((byte - zero) << c.left_shift, scale) for byte in _BYTES]
        for zero, scale in ((c.zero0, c.scale0), (c.zero1, c.scale1))
    ]
    rows = [[fixed_point.multiplied(a + b, c.out_scale) + c.out_zero for b in terms[1]] for a in terms[0]]
    return np.clip(rows, -128, 127)


def fast(c: Addition) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    found = weighted(c)
    assert found is not None
    words = 256 * np.arange(-128, 128, dtype=np.int64)
    sums = (words * found.m0 >> 16)[:, None] + (words * found.m1 >> 16)[None, :] + found.constant
    return np.clip(sums >> FRACTION, -128, 127)


@pytest.mark.parametrize(
    ("scales", "zeros"),
    [
        ((0.0217, 0.0574, 0.0281), (-128, 4, -128)),  # as a residual network has them
        ((0.05, 0.05, 0.0712), (1, 2, -128)),
        ((0.0371, 0.0122, 0.0409), (-3, 9, 5)),  # without RELU
        ((0.9, 0.002, 0.31), (0, 0, 0)),
    ],
)
def test_every_pair_of_bytes(scales: tuple[float, float, float], zeros: tuple[int, int, int]) -> None:
    c = addition(*scales, zeros)
    np.testing.assert_array_equal(fast(c), exact(c))


@pytest.mark.parametrize("out_zero", [0, -128, 17])
def test_ties_are_rounded_away_from_zero_by_weights_a_little_larger(out_zero: int) -> None:
    """Half of the sums lie between two outputs."""
    c = addition(0.5, 0.5, 1.0, (0, 0, out_zero))
    np.testing.assert_array_equal(fast(c), exact(c))


def test_factors_that_leave_the_range_have_none() -> None:
    assert weighted(addition(0.5, 0.1, 0.1)) is None
    assert weighted(replace(addition(0.02, 0.05, 0.03), act_min=-20)) is None
