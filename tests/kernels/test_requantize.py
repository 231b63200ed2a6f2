"""The affine requantization against gemmlowp's two roundings, at every sum that a channel can have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.kernels.arithmetic import Multiplier, quantize_multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.requantize import FRACTION, affine

Integers = npt.NDArray[np.int64]


def reference(totals: Integers, m: Multiplier, c: Channels) -> Integers:
    """As gemmlowp writes it: SaturatingRoundingDoublingHighMul with C's division, RoundingDivideByPOT with a mask."""
    product = (totals << max(m.shift, 0)) * m.value
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    mask = (1 << max(-m.shift, 0)) - 1
    shifted = (high >> max(-m.shift, 0)) + ((high & mask) > (mask >> 1) + (high < 0))
    return np.clip(shifted + c.out_zero, c.act_min, c.act_max)


def fast(sums: Integers, record: npt.NDArray[np.uint32], scaled: int) -> Integers:
    """What the instructions do: SMLAL into the constant, the high word shifted, SSAT."""
    m, low, high = (int(word) for word in record)
    constant = low | (high - (1 << 32) if high >> 31 else high) << 32
    return np.clip(((sums << scaled) * m + constant) >> (32 + FRACTION + scaled), -128, 127)


def every_sum_agrees(c: Channels, scaled: int) -> bool:
    """False where there is no affine step; fails where there is one and a sum's byte is wrong."""
    found = affine(c)
    records = None if found is None else found.records(scaled)
    if records is None:
        return False
    low, high = c.interval()
    folded = c.bias.astype(np.int64) - c.in_zero * c.weights.astype(np.int64).sum(axis=1)
    for i, record in enumerate(records):
        totals = np.arange(low[i], high[i] + 1, dtype=np.int64)
        m = c.multipliers[i if len(c.multipliers) > 1 else 0]
        np.testing.assert_array_equal(fast(totals - folded[i], record, scaled), reference(totals, m, c))
    return True


@st.composite
def channels(draw: st.DrawFn) -> Channels:
    count, depth = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    byte = st.integers(-128, 127)
    act_min, act_max = sorted((draw(st.one_of(st.just(-128), byte)), draw(st.one_of(st.just(127), byte))))
    real = st.floats(-14, 1).map(lambda e: quantize_multiplier(2.0**e))
    return Channels(
        weights=np.array(draw(st.lists(byte, min_size=count * depth, max_size=count * depth)), np.int8).reshape(
            count, depth
        ),
        bias=np.array(draw(st.lists(st.integers(-(1 << 17), 1 << 17), min_size=count, max_size=count)), np.int32),
        multipliers=tuple(draw(real) for _ in range(draw(st.sampled_from((1, count))))),
        in_zero=draw(byte),
        out_zero=draw(st.one_of(st.just(act_min), byte)),
        act_min=act_min,
        act_max=act_max,
    )


@settings(max_examples=150, deadline=None)
@given(channels(), st.sampled_from((0, 8)))
def test_whatever_is_found_is_exact_at_every_sum(c: Channels, scaled: int) -> None:
    every_sum_agrees(c, scaled)


def layer(out_zero: int, *, seed: int, shared: bool = False) -> Channels:
    """48 channels with scales as networks have them, RELU where the zero point is -128."""
    random = np.random.default_rng(seed)
    reals = 2.0 ** random.uniform(-11, -3.1, 1 if shared else 48)
    return Channels(
        weights=random.integers(-127, 128, (48, 4)).astype(np.int8),
        bias=random.integers(-20_000, 20_000, 48).astype(np.int32),
        multipliers=tuple(quantize_multiplier(float(r)) for r in reals),
        in_zero=-7,
        out_zero=out_zero,
        act_min=-128,
        act_max=127,
    )


def test_layers_with_relu_have_it() -> None:
    assert all(every_sum_agrees(layer(-128, seed=seed, shared=seed % 2 == 1), 8) for seed in range(4))


def test_two_roundings_on_both_sides_of_zero_are_not_one() -> None:
    assert affine(layer(3, seed=0)) is None


def test_a_channel_that_never_changes_takes_a_constant() -> None:
    base = layer(-128, seed=0)
    c = Channels(base.weights, np.full(48, 1 << 29, np.int32), (Multiplier(1 << 30, -2),), 0, -128, -128, 127)
    found = affine(c)
    assert found is not None
    assert not found.multiplier.any()
    assert {v >> (32 + FRACTION) for v in found.constant.tolist()} == {128}


def test_sums_that_the_reference_would_wrap_have_none() -> None:
    base = layer(-128, seed=0)
    assert affine(Channels(base.weights, base.bias, (Multiplier(1 << 30, 16),), 0, -128, -128, 127)) is None


def test_records_refuse_to_overflow() -> None:
    found = affine(layer(-128, seed=0))
    assert found is not None
    assert found.records(8) is not None
    assert found.records(16) is None
