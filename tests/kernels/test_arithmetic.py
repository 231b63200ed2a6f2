"""The numbers that kernels are called with, against direct formulas."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.kernels import arithmetic
from edgeq.kernels.arithmetic import Multiplier, output_size, quantize_multiplier, same_padding
from edgeq.kernels.elementwise import broadcast_strides, merged


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.floats(2.0**-60, 2.0**40, allow_nan=False))
def test_a_multiplier_is_the_factor_rounded_to_31_bits(real: float) -> None:
    m = quantize_multiplier(real)
    if m == Multiplier(0, 0):
        assert real < 2.0**-32 or abs(real - 2.0**-32) < 2.0**-62
        return
    assert 1 << 30 <= m.value < 1 << 31
    assert m.shift >= -31
    error = abs(Fraction(real) - Fraction(m.value) * Fraction(2) ** (m.shift - 31))
    assert error <= Fraction(2) ** (m.shift - 31) / 2


def test_multipliers_at_the_edges() -> None:
    assert quantize_multiplier(0.0) == Multiplier(0, 0)
    assert quantize_multiplier(1.0) == Multiplier(1 << 30, 1)
    assert quantize_multiplier(0.5) == Multiplier(1 << 30, 0)
    assert quantize_multiplier(float(np.nextafter(1.0, 0.0))) == Multiplier(1 << 30, 1)
    assert quantize_multiplier(2.0**-32) == Multiplier(1 << 30, -31)
    assert quantize_multiplier(2.0**-33) == Multiplier(0, 0)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.sampled_from(("SAME", "VALID")))
def test_windows_against_counting(size: int, kernel: int, stride: int, dilation: int, padding: str) -> None:
    effective = (kernel - 1) * dilation + 1
    if padding == "VALID":
        positions = len(range(0, size - effective + 1, stride))
        assert max(output_size(size, kernel, stride, dilation, padding), 0) == positions
        return
    out = output_size(size, kernel, stride, dilation, padding)
    assert out == len(range(0, size, stride))
    before = same_padding(size, kernel, stride, dilation, out)
    last = (out - 1) * stride - before + effective
    after = max(last - size, 0)
    assert after - before in (0, 1) or (before == 0 and last <= size), "the odd element goes behind"


def test_ties_round_away_from_zero() -> None:
    assert [arithmetic.round_half_away_f32(np.float32(v)) for v in (0.5, 1.5, -0.5, -1.5, 2.4)] == [1, 2, -1, -2, 2]


_DIMS = st.lists(st.integers(1, 4), min_size=0, max_size=6)


@st.composite
def _broadcast(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    out = draw(_DIMS)
    a = [draw(st.sampled_from((1, d))) for d in out]
    b = [d if x == 1 else draw(st.sampled_from((1, d))) for d, x in zip(out, a, strict=True)]
    first = a[draw(st.integers(0, len(a))) :] if draw(st.booleans()) else a
    second = b[draw(st.integers(0, len(b))) :] if draw(st.booleans()) else b
    return tuple(first), tuple(second), tuple(np.broadcast_shapes(tuple(first), tuple(second)))


@settings(max_examples=400, derandomize=True, deadline=None)
@given(_broadcast())
def test_merged_strides_walk_as_numpy_broadcasts(shapes: tuple[tuple[int, ...], ...]) -> None:
    a, b, out = shapes
    sizes, steps = merged(out, broadcast_strides(a, out), broadcast_strides(b, out))
    assert len(sizes) == 6 and int(np.prod(sizes)) == int(np.prod(out))
    for shape, strides in zip((a, b), steps, strict=True):
        values = np.arange(int(np.prod(shape))).reshape(shape)
        indices = np.indices(sizes).reshape(6, -1)
        walked = (np.array(strides)[:, None] * indices).sum(axis=0)
        np.testing.assert_array_equal(walked, np.broadcast_to(values, out).reshape(-1))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6).map(tuple))
def test_equal_shapes_are_one_loop(shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    sizes, steps = merged(shape, broadcast_strides(shape, shape), broadcast_strides(shape, shape))
    assert sizes == (1, 1, 1, 1, 1, count)
    assert all(step[5] == 1 or count == 1 for step in steps)
