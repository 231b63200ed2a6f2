"""Statistics and the methods made from them: what they promise for any values."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq import registry
from edgeq.quantize import statistics
from edgeq.quantize.methods import Method
from edgeq.quantize.methods.mse import MeanSquaredError
from edgeq.quantize.statistics import Collector, Histogram, Statistics


def _values(seed: int, count: int, octave: int, sign: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, count) * np.exp2(rng.uniform(octave - 4, octave, count)) * (rng.random(count) > 0.2)
    return (np.abs(values) * sign if sign else values).astype(np.float32)


FLOATS = st.builds(
    _values, st.integers(0, 1 << 30), st.integers(1, 300), st.integers(-15, 20), st.sampled_from([-1, 0, 1])
)
METHODS = tuple(registry.CALIBRATIONS)


def method(name: str) -> Method:
    return cast(Method, registry.load(registry.CALIBRATIONS, name, "method"))


def collected(samples: list[np.ndarray], kind: statistics.Kind = "inner") -> Statistics:
    collector = Collector({0: kind})
    for number, values in enumerate(samples):
        collector.start_sample(number)
        collector.add(0, values)
    return collector.finish()


@given(FLOATS, FLOATS)
def test_histograms_count_everything_and_merge_as_if_seen_together(a: np.ndarray, b: np.ndarray) -> None:
    together = Histogram.of(np.concatenate([a, b]))
    merged = Histogram.of(a).merged(Histogram.of(b))
    np.testing.assert_array_equal(together.positive, merged.positive)
    np.testing.assert_array_equal(together.negative, merged.negative)
    assert together.zeros == merged.zeros and together.total == a.size + b.size
    values, counts = together.values()
    assert counts.sum() == together.total and np.all(np.diff(values) > 0)
    exact = np.sort(np.concatenate([a, b]).astype(np.float64))
    np.testing.assert_allclose(np.repeat(values, counts), exact, rtol=1 / 128, atol=2.0**-32)


@given(st.lists(FLOATS, min_size=2, max_size=8), st.integers(1, 7))
def test_statistics_of_two_halves_merge_to_those_of_the_whole(samples: list[np.ndarray], cut: int) -> None:
    cut = min(cut, len(samples) - 1)
    whole, parts = collected(samples), collected(samples[:cut]).merged(collected(samples[cut:]))
    one, other = whole.tensors[0], parts.tensors[0]
    assert (one.low, one.high, whole.seen) == (other.low, other.high, parts.seen)
    np.testing.assert_array_equal(one.sample_highs, other.sample_highs)
    np.testing.assert_array_equal(one.histogram.positive, other.histogram.positive)
    assert one.low == min(s.min() for s in samples) and one.high == max(s.max() for s in samples)


def test_memory_does_not_grow_with_the_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_SAMPLES", 50)
    found = collected([np.array([float(i)], np.float32) for i in range(1000)])
    assert len(found.samples) == len(found.tensors[0].sample_highs) == 50 and found.seen == 1000
    assert [float(s) for s in found.samples] == found.tensors[0].sample_highs.tolist()
    assert max(found.samples) > 500 and found.tensors[0].high == 999.0
    both = found.merged(found)
    assert len(both.samples) == 50 and both.seen == 2000


@settings(max_examples=40)
@given(st.lists(FLOATS, min_size=1, max_size=6), st.sampled_from(METHODS))
def test_every_method_stays_within_what_was_seen(samples: list[np.ndarray], name: str) -> None:
    found = method(name).ranges(collected(samples))[0]
    low, high = min(s.min() for s in samples), max(s.max() for s in samples)
    slack = 1e-6 * max(abs(low), abs(high))
    assert min(low, 0.0) - slack <= found.low <= found.high + slack <= max(high, 0.0) + 2 * slack


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("min-max", "moving-average")])
def test_outputs_are_not_clipped_by_their_values(name: str) -> None:
    rng = np.random.default_rng(0)
    samples = [np.append(rng.normal(0, 1, 500), 12.0).astype(np.float32) for _ in range(20)]
    found = method(name).ranges(collected(samples, "output"))[0]
    assert found.high == pytest.approx(12.0, rel=0.01)


def test_one_wild_sample_is_left_out_by_the_samples_percentile_only_when_it_is_rare() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, 1, 300).astype(np.float32) for _ in range(40)]
    samples[7] = samples[7] * 255
    found = collected(samples)
    assert method("sample-percentile").ranges(found)[0].high < 5
    assert method("min-max").ranges(found)[0].high > 300


def test_mse_finds_the_range_of_least_error() -> None:
    rng = np.random.default_rng(1)
    values = rng.laplace(0, 1, 20_000).astype(np.float32)
    found = collected([values])
    chosen = method("mse").ranges(found)[0]
    at, counts = found.tensors[0].histogram.values()
    error = MeanSquaredError().error
    best = error(at, counts / counts.sum(), chosen.low, chosen.high)
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert best <= error(at, counts / counts.sum(), chosen.low * factor, chosen.high * factor) * 1.05
    stored = np.clip(np.rint((values - chosen.low) / (chosen.high - chosen.low) * 255), 0, 255)
    real = stored / 255 * (chosen.high - chosen.low) + chosen.low
    assert float(np.mean((real - values) ** 2)) == pytest.approx(best, rel=0.05)


def test_entropy_does_not_collapse_on_tensors_that_are_mostly_small() -> None:
    """The unguarded criterion clips this at a tenth of its range."""
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.exponential(0.02, 50_000), rng.uniform(0, 10, 500)]).astype(np.float32)
    assert method("entropy").ranges(collected([values]))[0].high > 5
