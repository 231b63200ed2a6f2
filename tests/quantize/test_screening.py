"""Samples that look wrong are named; natural data aren't accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from digits_network import trained
from models import digits

from edgeq.quantize import load_data
from edgeq.quantize.screening import odd_samples, screen


def faults(samples: np.ndarray) -> dict[str, tuple[int, ...]]:
    return {s.fault: s.samples for s in screen(load_data(samples, trained().model()))}


def test_digits_are_not_accused() -> None:
    assert not {"scale", "constant"} & set(faults(digits()[0]))


@pytest.mark.parametrize("factor", [255.0, 20.0, 1 / 255])
def test_another_scale_is_named(factor: float) -> None:
    samples = digits()[0][:60].copy()
    samples[[3, 30]] *= factor
    found = screen(load_data(samples, trained().model()))
    assert [(s.fault, s.samples) for s in found] == [("scale", (3, 30))]
    assert "2 samples (3, 30) of 'image'" in found[0].text and ("larger" in found[0].text) == (factor > 1)
    assert odd_samples(found) == {3, 30}


def test_constant_and_repeated_samples_are_named_and_may_judge() -> None:
    samples = digits()[0][:40].copy()
    samples[5] = 0.5
    samples[[11, 20]] = samples[2]
    found: Any = screen(load_data(samples, trained().model()))
    assert {s.fault: s.samples for s in found} == {"constant": (5,), "duplicate": (11, 20)}
    assert not odd_samples(found) and "are equal to an earlier one" in found[1].text


def test_data_that_spread_widely_by_nature_are_not_accused() -> None:
    rng = np.random.default_rng(0)
    loudness = np.exp2(rng.normal(0, 1.5, (200, 1, 1, 1)))
    samples = (rng.normal(0, 1, (200, 8, 8, 1)) * loudness).astype(np.float32)
    assert faults(samples) == {}
