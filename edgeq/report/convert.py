"""A ConversionReport as text."""

from __future__ import annotations

import math

from rich.console import RenderableType
from rich.text import Text

from edgeq.quantize.candidates import Score
from edgeq.quantize.choose import ALL, AUTO
from edgeq.quantize.products import ConversionReport, Evaluation
from edgeq.quantize.schemes import SCHEMES
from edgeq.report.render import facts, listing, notices, to_text, verdict
from edgeq.units import Provenance, format_bytes

_Row = tuple[str, RenderableType, Provenance | None]


def convert_text(report: ConversionReport, output: str, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq convert`. Accuracy and SQNR are computed on this computer by the reference kernels."""
    if report.leftovers:
        state = f"{len(report.leftovers)} float operators left"
    else:
        state = "integer only" if report.integer_only else f"{report.scheme}, activations in float"
    rows: list[_Row] = [
        ("size", f"{format_bytes(report.float_bytes)} float → {format_bytes(report.quantized_bytes)}", None),
        (
            "weights",
            f"{format_bytes(report.float_weights_bytes)} → {format_bytes(report.quantized_weights_bytes)}",
            None,
        ),
        ("scheme", SCHEMES[report.scheme].summary, None),
        ("ends", report.io, None),
        *_calibration(report),
        *(_evaluation(report.evaluation) if report.evaluation is not None else []),
        ("time", ", ".join(f"{stage} {s:.1f} s" for stage, s in report.seconds.items()), None),
    ]
    parts: list[RenderableType] = [
        verdict(not report.leftovers, f"{output}: {state}"),
        Text(""),
        facts(rows),
    ]
    if report.leftovers:
        columns = [("#", True), ("op", False), ("name", False), ("why", False)]
        parts += [
            Text(""),
            listing(columns, [[str(o.index), o.kind, o.name, o.reason] for o in report.leftovers]),
        ]
    parts += notices(report.notices)
    return to_text(*parts, width=width, color=color)


def _calibration(report: ConversionReport) -> list[_Row]:
    rows: list[_Row] = []
    if report.calibration_samples:
        told = f"{report.chosen.calibration} over {report.calibration_samples} samples, seed {report.seed}"
        rows.append(("calibration", told + (", chosen" if report.asked[0] in (AUTO, ALL) else ""), None))
    repairs = ", ".join(report.chosen.repairs) or "none"
    rows.append(("repairs", repairs + (", chosen" if report.asked[1] in (AUTO, ALL) else ""), None))
    chosen, plain = report.chosen.score, report.plain.score if report.plain is not None else None
    if chosen is not None and plain is not None:
        told = f"{len(report.candidates)} candidates on {report.judging_samples} samples: {_score(chosen)} chosen"
        way = "min-max alone" if report.calibration_samples else "nothing done"
        rows.append(("choice", told + ("" if chosen is plain else f", {_score(plain)} with {way}"), None))
    return rows


def _score(score: Score) -> str:
    return f"{score.mean_db:.1f} dB" + ("" if score.accuracy is None else f" (accuracy {score.accuracy:.3f})")


def _evaluation(e: Evaluation) -> list[_Row]:
    which = "held back from calibration" if e.held_back else "ALSO used for calibration"
    rows: list[_Row] = [("evaluated on", f"{e.samples} samples {which}, with {e.reference}", None)]
    for output in e.outputs:
        if output.sqnr_db is None:
            told = "the float output is all zero"
        elif math.isinf(output.sqnr_db):
            told = "equal to the float model"
        else:
            told = f"{output.sqnr_db:.1f} dB against the float model"
        rows.append((f"SQNR {output.name}"[:40], f"{told}, largest error {output.max_abs_error:.4g}", None))
    if e.top1_agreement is not None:
        rows.append(("agreement", f"{e.top1_agreement:.1%} same first choice as the float model", None))
    if e.accuracy is not None:
        a = e.accuracy
        rows.append(
            (
                "accuracy",
                f"float {a.float_model:.3f}, quantized {a.quantized_model:.3f} on {a.samples} samples",
                None,
            )
        )
    return rows
