"""Requantization by the high word of one product against gemmlowp's two roundings, at every sum that a channel has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from kernels.test_requantize import channels, layer, reference

from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.high_word import FRACTION, SCALED, high_word
from edgeq.kernels.paired import TILE_FRACTION


def every_sum_agrees(c: Channels, fraction: int = FRACTION, scales: tuple[int, ...] = SCALED) -> bool:
    """False where there is no such form; fails where there is one and a sum's byte is wrong or a word overflows."""
    found = high_word(c, fraction=fraction, scales=scales)
    if found is None:
        return False
    low, high = c.interval()
    folded = c.bias.astype(np.int64) - c.in_zero * c.weights.astype(np.int64).sum(axis=1)
    assert np.all((found.multiplier > 0) & (found.multiplier < 1 << 31))
    assert set(found.scaled.tolist()) <= set(scales)
    for i in range(low.size):
        totals = np.arange(low[i], high[i] + 1, dtype=np.int64)
        sums = (totals - folded[i]) * (0 if found.fixed[i] else 1) << found.scaled[i]
        sums += found.bias[i]
        assert np.all(abs(sums) < 1 << 31)
        got = np.clip(sums * found.multiplier[i] >> 32 >> fraction, -128, 127)
        m = c.multipliers[i if len(c.multipliers) > 1 else 0]
        np.testing.assert_array_equal(got, reference(totals, m, c))
    return True


@settings(max_examples=100, deadline=None)
@given(channels())
def test_whatever_is_found_is_exact_at_every_sum(c: Channels) -> None:
    every_sum_agrees(c)
    every_sum_agrees(c, TILE_FRACTION, (8,))


def test_the_tiles_of_convolutions_have_it_with_a_finer_factor() -> None:
    assert all(every_sum_agrees(layer(-128, seed=seed), TILE_FRACTION, (8,)) for seed in range(3))


def test_layers_with_relu_have_it() -> None:
    assert all(every_sum_agrees(layer(-128, seed=seed, shared=seed % 2 == 1)) for seed in range(3))


def test_two_roundings_on_both_sides_of_zero_are_not_one() -> None:
    assert high_word(layer(3, seed=0)) is None


def test_tiny_factors_take_little_scaled_sums() -> None:
    c = replace(layer(-128, seed=0), multipliers=(Multiplier(1 << 30, -16),))
    found = high_word(c)
    assert found is not None
    assert SCALED[1] in found.scaled
    assert every_sum_agrees(c)


def test_factors_from_a_half_on_have_none() -> None:
    assert high_word(replace(layer(-128, seed=0), multipliers=(Multiplier(1 << 30, 1),))) is None
