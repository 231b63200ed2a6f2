"""What was tried and how it scored, and when one is better than another beyond noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TRIM = 0.1
"""Of the samples on either side don't count."""
_LEAST_GAIN_DB = 0.1
_SURE = 2.0
"""Standard errors that make a difference more than noise."""


@dataclass(frozen=True, eq=False)
class Score:
    """One candidate on the judging samples.

    Attributes:
        sqnr_db: each sample's SQNR of the outputs against the float model's.
        right: where there are labels, whether each sample's first choice is its label.
        agreement: share of samples with the float model's first choice; None where outputs aren't classes.
    """

    sqnr_db: Floats
    right: npt.NDArray[np.bool_] | None
    agreement: float | None

    @property
    def mean_db(self) -> float:
        """Over the samples but for the tenth at either end."""
        return _trimmed(self.sqnr_db)[0]

    @property
    def accuracy(self) -> float | None:
        """Share of samples whose first choice is their label."""
        return None if self.right is None else float(np.mean(self.right))

    def to_json(self) -> Mapping[str, object]:
        """The same as plain values."""
        return {"sqnr_db": round(self.mean_db, 3), "accuracy": self.accuracy, "top1_agreement": self.agreement}


def better(challenger: Score, champion: Score) -> bool:
    """Whether the challenger is better beyond noise: in the task where labels tell, else in SQNR.

    Noise is that of the paired differences over samples: two standard errors.
    """
    if challenger.right is not None and champion.right is not None:
        difference = challenger.right.astype(np.float64) - champion.right
        mean, error = float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
        if abs(mean) > _SURE * error and mean != 0.0:
            return mean > 0.0
    mean, error = _trimmed(challenger.sqnr_db - champion.sqnr_db)
    return mean > max(_SURE * error, _LEAST_GAIN_DB)


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something tried.

    Attributes:
        repairs: in the order applied.
        calibration: the method; "" where activations stay in float.
        score: None where there were no samples to judge with.
        gain_db: over the candidate that it had to beat; None for the first.
    """

    repairs: tuple[str, ...]
    calibration: str
    score: Score | None
    gain_db: float | None = None
    kept: bool = False

    def to_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "repairs": list(self.repairs),
            "calibration": self.calibration,
            "score": None if self.score is None else dict(self.score.to_json()),
            "gain_db": None if self.gain_db is None else round(self.gain_db, 3),
            "kept": self.kept,
        }


def _trimmed(values: Floats) -> tuple[float, float]:
    """Mean and standard error without the tenth at either end."""
    cut = int(len(values) * _TRIM)
    kept = np.sort(values)[cut : len(values) - cut]
    return float(kept.mean()), float(kept.std() / math.sqrt(len(kept)))
