"""Confidence intervals against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.measure.accuracy import intervals

Z = 1.959963984540054


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_ends_are_the_shares_from_which_the_one_seen_is_z_deviations_away(case: tuple[int, int]) -> None:
    hits, count = case
    found = intervals.wilson(hits, count)
    assert found.low is not None and found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    for end in (found.low, found.high):
        away = abs(found.value - end)
        assert away == pytest.approx(Z * math.sqrt(end * (1 - end) / count), rel=1e-6, abs=1e-9)


scores_and_labels = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=4, max_size=40).filter(
    lambda rows: 1 < sum(positive for _, positive in rows) < len(rows) - 1
)


@given(scores_and_labels)
def test_the_area_counts_pairs_and_its_variance_is_delongs(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in rows])
    positive = np.array([p for _, p in rows])
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    assert intervals.area(scores, positive) == pytest.approx(kernel.mean())
    above, below = kernel.mean(axis=1), kernel.mean(axis=0)
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    found = intervals.delong(scores, positive)
    if 0 < kernel.mean() < 1 and variance > 1e-12:
        assert found.low is not None and found.high is not None
        width = math.log(found.high / (1 - found.high)) - math.log(found.low / (1 - found.low))
        half = Z * math.sqrt(variance) / (kernel.mean() * (1 - kernel.mean()))
        assert width == pytest.approx(2 * half, rel=1e-6)
    else:
        assert found.low is None


def test_the_difference_of_a_model_and_itself_is_certainly_nothing() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(200) < 0.4
    scores = rng.normal(size=200) + positive
    other = scores + rng.normal(0, 1, 200)
    same = intervals.delong_difference(scores, scores, positive)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    paired = intervals.delong_difference(scores, other, positive)
    apart = [intervals.delong(s, positive) for s in (scores, other)]
    assert paired.low is not None and paired.high is not None
    assert paired.high - paired.low < sum((a.high or 1) - (a.low or 0) for a in apart)


def test_delong_covers_the_true_area_as_often_as_it_says() -> None:
    """Two normal classes, one deviation apart: the area is Φ(1/√2) = 0.7602."""
    rng = np.random.default_rng(5)
    positive = np.arange(120) < 60
    held = 0
    for _ in range(400):
        found = intervals.delong(rng.normal(size=120) + positive, positive)
        held += (found.low or 0) <= 0.760250 <= (found.high or 1)
    assert 0.92 <= held / 400 <= 0.98


def test_a_bootstrapped_mean_is_as_wide_as_the_standard_error_says_and_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, 400)
    found = intervals.mean(values, None, 7)
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * Z * values.std() / 20, rel=0.1)
    assert found == intervals.mean(values, None, 7)
    assert found != intervals.mean(values, None, 8)


def test_samples_that_belong_together_tell_less_than_as_many_apart() -> None:
    groups = np.repeat(np.arange(20), 20)
    values = np.random.default_rng(3).normal(size=20)[groups]
    together, apart = intervals.mean(values, groups, 0), intervals.mean(values, None, 0)
    assert (together.high or 0) - (together.low or 0) > 3 * ((apart.high or 0) - (apart.low or 0))
    assert together.value == apart.value == pytest.approx(values.mean())


def test_a_figure_of_ones_own_is_bootstrapped_over_groups_as_a_whole() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2])
    seen = []

    def figure(samples: np.ndarray) -> float:
        seen.append(sorted(samples.tolist()))
        return float(len(set(samples.tolist())))

    found = intervals.bootstrap(figure, 6, groups, 0, 50)
    assert found.value == 6.0 and (found.low or 0) >= 2.0
    assert all(drawn.count(2 * g) == drawn.count(2 * g + 1) for drawn in seen for g in range(3))
