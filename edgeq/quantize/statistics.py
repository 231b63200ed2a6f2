"""What calibration remembers of every activation: constant memory for any number of samples, and mergeable.

A histogram's bins are those of a floating-point number: 128 to each power of two, so that one sample a thousand times
larger than the others costs the others no resolution, and two histograms are merged by adding them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["input", "inner", "output"]
Floats = npt.NDArray[np.float64]

_MANTISSA_BITS = 7
_LEAST_EXPONENT = -32  # magnitudes below 2**-32 count as zero, those above 2**32 as the largest bin
_BINS = 64 << _MANTISSA_BITS
_FIRST_KEY = (127 + _LEAST_EXPONENT) << _MANTISSA_BITS
_WORTHWHILE = 1 << 17
MAX_SAMPLES = 4096
"""How many samples' own extremes are kept; beyond that a random choice among all seen."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often values of each magnitude were seen.

    Attributes:
        positive, negative: int64, counts by magnitude, ascending; see `edges`.
        zeros: how many were zero (or below 2**-32).
    """

    positive: npt.NDArray[np.int64]
    negative: npt.NDArray[np.int64]
    zeros: int

    @classmethod
    def empty(cls) -> Histogram:
        """Nothing seen."""
        return cls(np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64), 0)

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Histogram:
        """Of finite values."""
        found = _Counts()
        found.add(values)
        return found.histogram()

    def merged(self, other: Histogram) -> Histogram:
        """Of both."""
        return Histogram(self.positive + other.positive, self.negative + other.negative, self.zeros + other.zeros)

    @property
    def total(self) -> int:
        """How many values."""
        return int(self.positive.sum() + self.negative.sum()) + self.zeros

    def values(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The middles of the bins that aren't empty, ascending, and their counts."""
        middles = (edges()[:-1] + edges()[1:]) / 2
        above, below = np.flatnonzero(self.positive), np.flatnonzero(self.negative)[::-1]
        zero = [0.0] if self.zeros else []
        found = np.concatenate([-middles[below], zero, middles[above]])
        counts = np.concatenate([self.negative[below], [self.zeros] if self.zeros else [], self.positive[above]])
        return found, counts.astype(np.int64)


class _Counts:
    """A histogram in the making. Values wait until there are enough of them for counting to be worth its start."""

    def __init__(self) -> None:
        self.positive = np.zeros(_BINS, np.int64)
        self.negative = np.zeros(_BINS, np.int64)
        self.zeros = 0
        self.waiting: list[npt.NDArray[np.uint16]] = []
        self.many = 0

    def add(self, values: npt.NDArray[np.float32]) -> None:
        # The upper half of a float32: sign, exponent and seven bits of mantissa.
        keys = np.ascontiguousarray(values, "<f4").reshape(-1).view("<u2")[1::2].copy()
        self.waiting.append(keys)
        self.many += keys.size
        if self.many >= _WORTHWHILE:
            self.count()

    def count(self) -> None:
        if not self.waiting:
            return
        counts = np.bincount(np.concatenate(self.waiting), minlength=1 << 16)
        self.waiting, self.many = [], 0
        for store, half in ((self.positive, counts[: 1 << 15]), (self.negative, counts[1 << 15 :])):
            store += half[_FIRST_KEY : _FIRST_KEY + _BINS]
            store[-1] += int(half[_FIRST_KEY + _BINS :].sum())
            self.zeros += int(half[:_FIRST_KEY].sum())

    def histogram(self) -> Histogram:
        self.count()
        return Histogram(self.positive, self.negative, self.zeros)


def edges() -> Floats:
    """The magnitudes between bins, ascending; one more than there are bins."""
    index = np.arange(_BINS + 1)
    return np.ldexp(1.0 + (index % 128) / 128.0, (index >> _MANTISSA_BITS) + _LEAST_EXPONENT)


@dataclass(frozen=True, eq=False)
class TensorStatistics:
    """One activation.

    Attributes:
        kind: whether it is an input or an output of the model, or lies between layers.
        low, high: the least and the greatest value of all samples, exactly.
        sample_lows, sample_highs: float32, the extremes of each sample kept, in the order of `Statistics.samples`.
        histogram: of all values of all samples.
    """

    kind: Kind
    low: float
    high: float
    sample_lows: npt.NDArray[np.float32]
    sample_highs: npt.NDArray[np.float32]
    histogram: Histogram


@dataclass(frozen=True, eq=False)
class Statistics:
    """All activations of a model.

    Attributes:
        tensors: by tensor index, in execution order.
        samples: the numbers of the samples whose extremes are kept, in the order seen.
        seen: how many samples there were.
    """

    tensors: Mapping[int, TensorStatistics]
    samples: tuple[int, ...]
    seen: int

    def merged(self, other: Statistics, seed: int = 0) -> Statistics:
        """Of both, with at most MAX_SAMPLES samples' own extremes, chosen at random."""
        samples = (*self.samples, *other.samples)
        kept = np.arange(len(samples))
        if len(samples) > MAX_SAMPLES:
            share = np.concatenate([np.full(len(s.samples), s.seen / max(len(s.samples), 1)) for s in (self, other)])
            kept = np.sort(np.random.default_rng(seed).choice(kept, MAX_SAMPLES, replace=False, p=share / share.sum()))
        tensors = {
            index: _merged(self.tensors[index], other.tensors[index], kept)
            for index in self.tensors
            if index in other.tensors
        }
        return Statistics(tensors, tuple(samples[i] for i in kept), self.seen + other.seen)


def _merged(a: TensorStatistics, b: TensorStatistics, kept: npt.NDArray[np.int64]) -> TensorStatistics:
    return TensorStatistics(
        a.kind,
        min(a.low, b.low),
        max(a.high, b.high),
        np.concatenate([a.sample_lows, b.sample_lows])[kept],
        np.concatenate([a.sample_highs, b.sample_highs])[kept],
        a.histogram.merged(b.histogram),
    )


class Collector:
    """Sees every activation of every sample, one sample after another."""

    def __init__(self, kinds: Mapping[int, Kind], seed: int = 0) -> None:
        self._kinds = kinds
        self._random = np.random.default_rng(seed)
        self._samples: list[int] = []
        self._places: list[int | None] = []
        self._seen = 0
        self._place: int | None = None
        self._low: dict[int, list[float]] = {}
        self._high: dict[int, list[float]] = {}
        self._extremes: dict[int, tuple[float, float]] = {}
        self._counts: dict[int, _Counts] = {}

    def start_sample(self, number: int) -> None:
        """The values that follow are of sample `number`."""
        self._seen += 1
        if self._seen <= MAX_SAMPLES:
            self._place = len(self._samples)
            self._samples.append(number)
            return
        chosen = int(self._random.integers(self._seen))  # a reservoir: each sample stays with the same probability
        self._place = chosen if chosen < MAX_SAMPLES else None
        if self._place is not None:
            self._samples[self._place] = number

    def add(self, tensor: int, values: npt.NDArray[np.float32]) -> None:
        """One tensor's finite values in the sample; once per tensor and sample, in execution order."""
        low, high = float(values.min()), float(values.max())
        before = self._extremes.get(tensor, (low, high))
        self._extremes[tensor] = (min(low, before[0]), max(high, before[1]))
        for store, value in ((self._low, low), (self._high, high)):
            kept = store.setdefault(tensor, [])
            if self._place is not None and self._place < len(kept):
                kept[self._place] = value
            elif self._place is not None:
                kept.append(value)
        if tensor not in self._counts:
            self._counts[tensor] = _Counts()
        self._counts[tensor].add(values)

    def finish(self) -> Statistics:
        """What was seen."""
        tensors = {
            index: TensorStatistics(
                self._kinds[index],
                *self._extremes[index],
                np.array(self._low[index], np.float32),
                np.array(self._high[index], np.float32),
                self._counts[index].histogram(),
            )
            for index in self._extremes
        }
        return Statistics(tensors, tuple(self._samples), self._seen)
