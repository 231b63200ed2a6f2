"""Samples that look wrong, named before they do harm."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgeq.quantize.data import Dataset

Fault = Literal["scale", "constant", "duplicate"]

_OCTAVES = 2.5
"""A sample this many powers of two larger or smaller than most: 255 is 8 of them, and natural data seldom spread so."""
_DEVIATIONS = 8.0
_NAMED = 10


@dataclass(frozen=True)
class Suspicion:
    """Samples with the same fault in one input.

    Attributes:
        samples: their places in the user's data.
        text: one sentence, for people.
    """

    fault: Fault
    input: str
    samples: tuple[int, ...]
    text: str

    def to_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {"fault": self.fault, "input": self.input, "samples": list(self.samples), "text": self.text}


def screen(data: Dataset) -> tuple[Suspicion, ...]:
    """Look at every sample (NaN and Inf are refused when data are read).

    Scale: the magnitude of the largest value is far from the others' (by 2.5 powers of two, and 8 times their usual
    deviation from their median). Constant: all values are equal. Duplicate: equal to an earlier sample.
    """
    found: list[Suspicion] = []
    numbers = np.array(data.numbers)
    for name, array in zip(data.names, data.arrays, strict=True):
        if array.dtype.kind != "f" or len(array) < 3:
            continue
        flat = array.reshape(len(array), -1)
        odd, factor = _odd_scale(flat)
        if odd.any():
            samples = tuple(int(i) for i in numbers[odd])
            text = f"{_named(samples)} of '{name}' {_have(samples)} values {factor} the others': scaled differently?"
            found.append(Suspicion("scale", name, samples, text))
        constant = numbers[flat.min(axis=1) == flat.max(axis=1)] if flat.shape[1] > 1 else numbers[:0]
        if len(constant):
            samples = tuple(int(i) for i in constant)
            text = f"{_named(samples)} of '{name}' {_have(samples)} the same value everywhere: empty?"
            found.append(Suspicion("constant", name, samples, text))
    twice = _duplicates(data)
    if twice:
        text = f"{_named(twice)} {'is' if len(twice) == 1 else 'are'} equal to an earlier one"
        found.append(Suspicion("duplicate", "", twice, text))
    return tuple(found)


def odd_samples(suspicions: tuple[Suspicion, ...]) -> frozenset[int]:
    """Those whose scale is wrong: they don't judge, and repairs don't learn from them."""
    return frozenset(i for s in suspicions if s.fault == "scale" for i in s.samples)


def _odd_scale(flat: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.bool_], str]:
    widest = np.abs(flat).max(axis=1).astype(np.float64)
    there = widest > 0.0
    if there.sum() < 3:
        return np.zeros(len(flat), np.bool_), ""
    logs = np.log2(np.where(there, widest, 1.0))
    middle = np.median(logs[there])
    spread = np.median(np.abs(logs[there] - middle))
    away = np.abs(logs - middle)
    odd = there & (away > max(_OCTAVES, _DEVIATIONS * spread))
    if not odd.any():
        return odd, ""
    worst = float(np.exp2(away[odd].max()))
    larger = bool(logs[odd][np.argmax(away[odd])] > middle)
    return odd, f"up to {worst:.3g} times {'larger' if larger else 'smaller'} than"


def _duplicates(data: Dataset) -> tuple[int, ...]:
    seen: set[bytes] = set()
    found = []
    for index, number in enumerate(data.numbers):
        digest = hashlib.blake2b(digest_size=16)
        for array in data.arrays:
            digest.update(np.ascontiguousarray(array[index]).tobytes())
        if digest.digest() in seen:
            found.append(number)
        seen.add(digest.digest())
    return tuple(found)


def _named(samples: tuple[int, ...]) -> str:
    if len(samples) == 1:
        return f"sample {samples[0]}"
    shown = ", ".join(map(str, samples[:_NAMED]))
    return f"{len(samples)} samples ({shown}{', …' if len(samples) > _NAMED else ''})"


def _have(samples: tuple[int, ...]) -> str:
    return "has" if len(samples) == 1 else "have"
