"""Small pieces: numbers to integers and back, and the split of the samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import NetBuilder

from edgeq import tflite
from edgeq.graph import DType, QuantParams, Tensor
from edgeq.quantize import dequantized, quantized
from edgeq.quantize.absorb import affine
from edgeq.quantize.split import MAX_CALIBRATION, MAX_HELD_BACK, MIN_TO_SPLIT, split
from edgeq.reference import Reference


def tensor(scale: float, zero_point: int, dtype: DType = DType.INT8) -> Tensor:
    quant = QuantParams(np.array([scale], np.float32), np.array([zero_point], np.int64))
    return Tensor(0, "t", (1,), dtype, quant)


def test_halves_go_away_from_zero_and_ends_saturate() -> None:
    values = np.array([0.5, -0.5, 1.5, -1.5, 2.4, 1e9, -1e9], np.float32)
    assert quantized(tensor(1.0, 0), values).tolist() == [1, -1, 2, -2, 2, 127, -128]
    assert quantized(tensor(1.0, 128, DType.UINT8), values).tolist() == [129, 127, 130, 126, 130, 255, 0]


@given(
    scale=st.floats(1e-4, 10).map(lambda x: float(np.float32(x))),
    zero_point=st.integers(-128, 127),
    seed=st.integers(0, 2**32 - 1),
)
def test_quantized_is_the_quantize_operator(scale: float, zero_point: int, seed: int) -> None:
    values = (np.random.default_rng(seed).normal(0, 200 * scale, (1, 50))).astype(np.float32)
    net = NetBuilder()
    x = net.input((1, 50))
    data = net.finish([net.op("QUANTIZE", [x], (1, 50), "int8", quant=(scale, zero_point))])
    expected = Reference(data, tflite.parse(data), "litert").run([values])[0]
    np.testing.assert_array_equal(quantized(tensor(scale, zero_point), values), expected)


@given(
    stored=st.integers(-128, 127),
    scale=st.floats(1e-6, 100).map(lambda x: float(np.float32(x))),
    zero_point=st.integers(-128, 127),
)
def test_integers_survive_the_way_there_and_back(stored: int, scale: float, zero_point: int) -> None:
    end = tensor(scale, zero_point)
    assert quantized(end, dequantized(end, np.array([stored], np.int8))).tolist() == [stored]


@given(
    low=st.floats(-1e4, 1e4).map(lambda x: float(np.float32(x))),
    high=st.floats(-1e4, 1e4).map(lambda x: float(np.float32(x))),
)
def test_affine_covers_the_range_and_expresses_zero(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    scale, zero_point = affine(low, high)
    assert scale > 0 and -128 <= zero_point <= 127
    assert (-128 - zero_point) * scale <= min(low, 0) + scale
    assert (127 - zero_point) * scale >= max(high, 0) - scale


@given(count=st.integers(1, 3000), seed=st.integers(0, 100), wanted=st.none() | st.integers(1, 4000))
def test_a_split_keeps_its_promises(count: int, seed: int, wanted: int | None) -> None:
    parts = split(count, seed, wanted)
    calibration, held = set(parts.calibration), set(parts.held_back)
    assert calibration and held and (calibration | held) <= set(range(count))
    assert len(calibration) <= (wanted or MAX_CALIBRATION)
    assert parts.disjoint == (count >= MIN_TO_SPLIT)
    if parts.disjoint:
        assert not calibration & held and len(held) <= MAX_HELD_BACK
    assert split(count, seed, wanted) == parts


def test_the_seed_matters() -> None:
    assert split(100, 0) != split(100, 1)


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.INT32])
def test_ends_without_quantization_pass_values_through(dtype: DType) -> None:
    end = Tensor(0, "t", (1, 3), dtype)
    assert quantized(end, np.array([1.0, 2.0, 3.0])).tolist() == [1, 2, 3]
    assert dequantized(end, np.array([1, 2, 3])).dtype == np.float32
