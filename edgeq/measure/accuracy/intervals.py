"""Confidence intervals: Wilson's for shares, DeLong's for areas under the curve, a seeded bootstrap for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.measure.accuracy.products import LEVEL, Score

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
RESAMPLES = 2000


def wilson(hits: int, count: int) -> Score:
    """A share of independent samples with Wilson's score interval (Wilson 1927; no continuity correction)."""
    share, z2 = hits / count, _Z * _Z
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    # At the ends the formula gives exactly 0 and 1, but for rounding.
    low = 0.0 if hits == 0 else centre - half
    return Score(share, low, 1.0 if hits == count else centre + half, "Wilson")


def mean(values: _Floats, groups: _Integers | None, seed: int) -> Score:
    """The mean of one value per sample; whole groups are drawn where there are any."""
    value = float(values.mean())
    members = np.arange(len(values)) if groups is None else groups
    sums, counts = np.bincount(members, values), np.bincount(members)
    if len(sums) < 2:
        return Score(value)
    generator = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = generator.integers(0, len(sums), len(sums))
        means[i] = sums[drawn].sum() / counts[drawn].sum()
    return _percentiles(value, means, seed, RESAMPLES, groups is not None)


def bootstrap(
    function: Callable[[_Integers], float],
    count: int,
    groups: _Integers | None,
    seed: int,
    resamples: int,
    value: float | None = None,
) -> Score:
    """A figure of any kind, computed anew on samples drawn with replacement.

    Args:
        function: the figure of the samples with these numbers; NaN where it can't be computed from them.
        value: of all samples, where it is known already.
    """
    everything = np.arange(count)
    found = function(everything) if value is None else value
    members = [everything[i : i + 1] for i in range(count)] if groups is None else _members(groups)
    if len(members) < 2:
        return Score(found)
    generator = np.random.Generator(np.random.PCG64(seed))
    figures = np.empty(resamples)
    for i in range(resamples):
        drawn = generator.integers(0, len(members), len(members))
        figures[i] = function(np.concatenate([members[j] for j in drawn]))
    usable = figures[np.isfinite(figures)]
    if len(usable) < resamples // 2:
        return Score(found)
    return _percentiles(found, usable, seed, len(usable), groups is not None)


def _percentiles(value: float, figures: _Floats, seed: int, resamples: int, grouped: bool) -> Score:
    low, high = np.quantile(figures, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    what = "bootstrap of groups" if grouped else "bootstrap"
    return Score(value, float(low), float(high), f"{what}, {resamples} resamples, seed {seed}")


def _members(groups: _Integers) -> list[_Integers]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def area(scores: _Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the receiver's curve: the share of pairs that are in the right order, ties counted half."""
    ranks = _midranks(scores)
    ones = int(positive.sum())
    zeros = len(scores) - ones
    if ones == 0 or zeros == 0:
        return math.nan
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def delong(scores: _Floats, positive: npt.NDArray[np.bool_]) -> Score:
    """An area with DeLong's interval on the logit scale, which keeps it between 0 and 1.

    DeLong, DeLong, Clarke-Pearson 1988, in the form with midranks of Sun and Xu 2014.
    """
    value = area(scores, positive)
    variance = float(_covariance([scores], positive)[0, 0])
    if not 0.0 < value < 1.0 or not variance > 0.0:
        return Score(value, method="none: every pair is in order" if value in (0.0, 1.0) else "")
    logit, half = math.log(value / (1 - value)), _Z * math.sqrt(variance) / (value * (1 - value))
    return Score(value, 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit)), "DeLong, logit")


def delong_difference(first: _Floats, second: _Floats, positive: npt.NDArray[np.bool_]) -> Score:
    """Area of the first scores minus that of the second, on the same samples (DeLong's paired variance)."""
    value = area(first, positive) - area(second, positive)
    covariance = _covariance([first, second], positive)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    half = _Z * math.sqrt(max(0.0, variance))
    return Score(value, value - half, value + half, "DeLong, paired")


def _covariance(columns: list[_Floats], positive: npt.NDArray[np.bool_]) -> _Floats:
    ones, zeros = int(positive.sum()), int((~positive).sum())
    above, below = np.empty((len(columns), ones)), np.empty((len(columns), zeros))
    for row, scores in enumerate(columns):
        ranks = _midranks(scores)
        above[row] = (ranks[positive] - _midranks(scores[positive])) / zeros
        below[row] = 1 - (ranks[~positive] - _midranks(scores[~positive])) / ones
    found: _Floats = np.zeros((len(columns), len(columns)))
    for part, count in ((above, ones), (below, zeros)):
        if count > 1:
            found += np.atleast_2d(np.cov(part)) / count
    return found


def _midranks(values: npt.NDArray[Any]) -> _Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: _Floats = (last - (counts - 1) / 2.0)[inverse.reshape(-1)]
    return found
