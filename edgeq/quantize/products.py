"""What conversion hands on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.graph import Graph
from edgeq.importers.verification import Verification
from edgeq.quantize.candidates import Candidate
from edgeq.quantize.schemes import SCHEMES, EndType
from edgeq.quantize.screening import Suspicion


@dataclass(frozen=True)
class OutputError:
    """How far one output is from the float model's.

    Attributes:
        sqnr_db: 10 log10(signal power / error power) over all samples; infinite when equal, None when the
            float output is all zero.
        max_abs_error: the largest difference, in the output's own unit.
    """

    name: str
    sqnr_db: float | None
    max_abs_error: float


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose label is the model's first choice, 0 to 1."""

    float_model: float
    quantized_model: float
    samples: int


@dataclass(frozen=True)
class Evaluation:
    """The quantized model against the float model.

    Attributes:
        samples: how many were run.
        held_back: whether they took no part in calibration.
        top1_agreement: share of samples on which both have the same first choice; None where the output isn't
            a list of classes.
        accuracy: where labels were given.
        reference: the engine that ran the quantized model.
    """

    samples: int
    held_back: bool
    outputs: tuple[OutputError, ...]
    top1_agreement: float | None
    accuracy: Accuracy | None
    reference: str

    def to_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "samples": self.samples,
            "held_back": self.held_back,
            "outputs": [
                {
                    "name": o.name,
                    "sqnr_db": o.sqnr_db if o.sqnr_db is None or math.isfinite(o.sqnr_db) else None,
                    "equal": o.max_abs_error == 0.0,
                    "max_abs_error": o.max_abs_error,
                }
                for o in self.outputs
            ],
            "top1_agreement": self.top1_agreement,
            "accuracy": None if self.accuracy is None else vars(self.accuracy),
            "reference": self.reference,
        }


@dataclass(frozen=True)
class Leftover:
    """A float operator in a model that should have none."""

    index: int
    kind: str
    name: str
    reason: str


@dataclass(frozen=True)
class ConversionReport:
    """How a conversion went.

    Attributes:
        source: the model's path, "" for an object; `kind` as in `edgeq.registry.IMPORTERS`.
        scheme: a name in `edgeq.quantize.schemes.SCHEMES`.
        chosen: the repairs and the calibration, with their score.
        plain: the score without repairs and with min-max, to compare; None where nothing was judged.
        candidates: all that was tried, in that order.
        asked: calibration and repairs as the user asked for them ("auto", "all", or names).
        suspicions: samples that look wrong.
        io: the type of the model's ends.
        runtimes: those of the target asked about that have kernels for the scheme; () when none was named.
        seed: of the split into calibration and held-back samples.
        calibration_samples: how many the ranges come from; 0 where activations stay in float.
        judging_samples: how many candidates were compared on; 0 where nothing was left to decide.
        float_bytes, quantized_bytes: sizes of the two `.tflite` files.
        float_weights_bytes, quantized_weights_bytes: of these, constants.
        leftovers: float operators that could not be quantized; empty when the model is integer only.
        evaluation: None where there were no data.
        seconds: wall time by stage: import, data, quantize (with calibration and all that is tried), evaluate.
        notices: what the user should know.
        verification: how near the float `.tflite` is to the model of another framework that it was made from.
    """

    source: str
    kind: str
    scheme: str
    chosen: Candidate
    plain: Candidate | None
    candidates: tuple[Candidate, ...]
    asked: tuple[str, str]
    suspicions: tuple[Suspicion, ...]
    io: EndType
    runtimes: tuple[str, ...]
    seed: int
    calibration_samples: int
    judging_samples: int
    float_bytes: int
    quantized_bytes: int
    float_weights_bytes: int
    quantized_weights_bytes: int
    evaluation: Evaluation | None
    leftovers: tuple[Leftover, ...]
    seconds: Mapping[str, float]
    notices: tuple[str, ...]
    verification: Verification | None = None

    @property
    def integer_only(self) -> bool:
        """Whether nothing computes in floating point (conversions at float32 ends apart)."""
        return not self.leftovers and SCHEMES[self.scheme].is_static

    def to_json(self) -> dict[str, object]:
        """The report as plain values, units in the names."""
        return {
            "source": self.source,
            "kind": self.kind,
            "scheme": self.scheme,
            "method": self.chosen.calibration,
            "repairs": list(self.chosen.repairs),
            "io": self.io,
            "runtimes": list(self.runtimes),
            "seed": self.seed,
            "integer_only": self.integer_only,
            "leftovers": [vars(leftover) for leftover in self.leftovers],
            "size": {
                "float_bytes": self.float_bytes,
                "quantized_bytes": self.quantized_bytes,
                "float_weights_bytes": self.float_weights_bytes,
                "quantized_weights_bytes": self.quantized_weights_bytes,
            },
            "calibration": {"samples": self.calibration_samples},
            "choice": {
                "asked": {"calibration": self.asked[0], "repair": self.asked[1]},
                "judging_samples": self.judging_samples,
                "chosen": self.chosen.to_json(),
                "plain": None if self.plain is None else self.plain.to_json(),
                "candidates": [candidate.to_json() for candidate in self.candidates],
            },
            "suspicious_samples": [suspicion.to_json() for suspicion in self.suspicions],
            "evaluation": None if self.evaluation is None else self.evaluation.to_json(),
            "seconds": dict(self.seconds),
            "notices": list(self.notices),
            "verification": None if self.verification is None else self.verification.to_json(),
        }


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """An integer `.tflite`, what it is as a Graph, and how it came about."""

    tflite: bytes
    graph: Graph
    report: ConversionReport
