"""Which samples calibrate and which are held back to judge the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_TO_SPLIT = 20
HELD_BACK_SHARE = 0.2
MAX_HELD_BACK = 200
MAX_CALIBRATION = 500


@dataclass(frozen=True)
class Split:
    """Sample indices, ascending.

    Attributes:
        calibration: the ranges come from these.
        held_back: the report's figures come from these.
        disjoint: False when there were too few to hold any back: then both are all of them.
    """

    calibration: tuple[int, ...]
    held_back: tuple[int, ...]
    disjoint: bool


def split(count: int, seed: int, calibration_samples: int | None = None) -> Split:
    """Split `count` samples at random.

    A fifth is held back, 200 at most: each costs a run of the reference kernels. Of the others up to
    `calibration_samples` (500 unless told) calibrate. Below 20 samples none is held back.
    """
    wanted = calibration_samples or MAX_CALIBRATION
    order = np.random.default_rng(seed).permutation(count)
    if count < MIN_TO_SPLIT:
        chosen = tuple(sorted(int(i) for i in order[:wanted]))
        return Split(chosen, tuple(range(count)), disjoint=False)
    held = min(max(int(count * HELD_BACK_SHARE), 1), MAX_HELD_BACK)
    return Split(
        tuple(sorted(int(i) for i in order[held : held + wanted])),
        tuple(sorted(int(i) for i in order[:held])),
        disjoint=True,
    )
