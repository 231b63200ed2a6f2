"""Which samples calibrate, which judge between candidates, and which are held back for the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_TO_SPLIT = 20
MIN_TO_JUDGE = 50
HELD_BACK_SHARE = 0.2
MAX_HELD_BACK = 200
MAX_JUDGING = 64
MAX_CALIBRATION = 500


@dataclass(frozen=True)
class Split:
    """Sample indices, ascending.

    Attributes:
        calibration: the ranges come from these.
        judging: candidates are compared on these.
        held_back: the report's figures come from these.
        disjoint: False when there were too few to hold any back: then all three are all of them.
    """

    calibration: tuple[int, ...]
    judging: tuple[int, ...]
    held_back: tuple[int, ...]
    disjoint: bool


def split(count: int, seed: int, calibration_samples: int | None = None, *, judging: bool = True) -> Split:
    """Split `count` samples at random.

    A fifth is held back, 200 at most: each costs a run of the reference kernels. Another fifth, 64 at most, judges.
    Of the others up to `calibration_samples` (500 unless told) calibrate. Below 50 samples those that calibrate judge
    as well; below 20 none is held back.

    Args:
        judging: whether there is anything to judge; if not, nobody does.
    """
    wanted = calibration_samples or MAX_CALIBRATION
    order = [int(i) for i in np.random.default_rng(seed).permutation(count)]
    if count < MIN_TO_SPLIT:
        chosen = tuple(sorted(order[:wanted]))
        return Split(chosen, chosen if judging else (), tuple(range(count)), disjoint=False)
    held = min(max(int(count * HELD_BACK_SHARE), 1), MAX_HELD_BACK)
    judges = min(held, MAX_JUDGING) if judging and count >= MIN_TO_JUDGE else 0
    calibration = tuple(sorted(order[held + judges : held + judges + wanted]))
    judged = tuple(sorted(order[held : held + judges])) if judges else calibration if judging else ()
    return Split(calibration, judged, tuple(sorted(order[:held])), disjoint=True)
