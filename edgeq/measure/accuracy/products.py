"""What an evaluation hands on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Of every confidence interval."""


@dataclass(frozen=True)
class Score:
    """A figure with its 95 % confidence interval.

    Attributes:
        low, high: the interval's ends; None where there is none.
        method: how the interval came about, with what its figures depend on (seed, resamples).
    """

    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {"value": self.value, "low": self.low, "high": self.high, "level": LEVEL, "interval": self.method}


@dataclass(frozen=True)
class Disagreement:
    """A sample on which the model and its float model answer differently.

    Attributes:
        sample: its place in the user's data.
        model, float_model: first choices of classifiers; else None.
        label: the right class, where it is known.
        distance: root of the mean squared difference of the first output, in its unit.
    """

    sample: int
    model: int | None
    float_model: int | None
    label: int | None
    distance: float


@dataclass(frozen=True)
class AgainstFloat:
    """The model beside the float model, on the same samples.

    Attributes:
        path: of the float model.
        score: of the float model, by the same metric; None where the metric needs labels and there are none.
        difference: model minus float model, with the interval of the paired difference.
        agreement: share of samples with the same first choice; None where the output isn't a list of classes.
        sqnr_db: of each output: float signal over difference; infinite when equal, None where float is all zero.
        disagreements: of classifiers all of them, in order; of others the ten samples that are furthest apart.
    """

    path: str
    score: Score | None
    difference: Score | None
    agreement: float | None
    sqnr_db: Mapping[str, float | None]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Gate:
    """A limit that decides the exit code.

    Attributes:
        kind: "min" where more is better, "max" where less is.
    """

    kind: Literal["min", "max"]
    limit: float
    passed: bool


@dataclass(frozen=True)
class Compared:
    """Outputs held against the reference interpreter's, byte for byte, while evaluating elsewhere."""

    reference: str
    samples: int
    differing: int


@dataclass(frozen=True, eq=False)
class AccuracyReport:
    """The answer of `edgeq evaluate`.

    Attributes:
        model_sha256: of the evaluated file.
        samples: how many were run, of `available`.
        groups: how many independent groups they form; None when each sample stands for itself.
        metric: its name; `higher_is_better` says which way it counts.
        score: None without labels for a metric that needs them.
        engine: what computed the answers.
        provenance: "measured" or "simulated" for answers that a device gave, None for those of this computer, which
            are exact.
        compared: outputs against the reference, where the engine isn't it.
        confusion: counts, rows the right class, columns the model's choice; None for other than classifiers.
        seconds: wall time of the evaluation.
    """

    model_path: str
    model_sha256: str
    data: str
    samples: int
    available: int
    groups: int | None
    metric: str
    higher_is_better: bool
    score: Score | None
    engine: str
    provenance: Literal["measured", "simulated"] | None
    compared: Compared | None
    confusion: npt.NDArray[np.int64] | None
    against_float: AgainstFloat | None
    gate: Gate | None
    seed: int
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the gate, if there is one, is kept."""
        return self.gate is None or self.gate.passed

    def to_json(self) -> dict[str, object]:
        """The same for programs; `edgeq check --budget` reads `model.sha256`, `metric` and `score`."""
        beside = self.against_float
        return {
            "model": {"path": self.model_path, "sha256": self.model_sha256},
            "data": self.data,
            "samples": self.samples,
            "available": self.available,
            "groups": self.groups,
            "metric": {"name": self.metric, "higher_is_better": self.higher_is_better},
            "score": None if self.score is None else self.score.to_json(),
            "engine": self.engine,
            "provenance": self.provenance,
            "compared": self.compared,
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "float": None
            if beside is None
            else {
                "path": beside.path,
                "score": None if beside.score is None else beside.score.to_json(),
                "difference": None if beside.difference is None else beside.difference.to_json(),
                "agreement": beside.agreement,
                "sqnr_db": {k: v if v is None or math.isfinite(v) else None for k, v in beside.sqnr_db.items()},
                "disagreements": list(beside.disagreements),
            },
            "gate": None if self.gate is None else {**vars(self.gate)},
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "notices": list(self.notices),
        }
