"""An AccuracyReport as text."""

from __future__ import annotations

import math

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from edgeq.measure.accuracy import AccuracyReport, Disagreement, Score
from edgeq.measure.accuracy.products import AgainstFloat
from edgeq.report.render import facts, listing, notices, to_text, verdict
from edgeq.units import Provenance

_NAMES = {"top1": "accuracy", "auc": "area under the curve", "mse": "mean squared error"}
_MOST_CLASSES = 12
_MOST_ROWS = 10


def evaluate_text(r: AccuracyReport, *, width: int = 100, color: bool = False) -> str:
    """The report of `edgeq evaluate`."""
    parts: list[RenderableType] = [verdict(r.passed, headline(r)), Text(""), facts([*_heading(r), *_figures(r)])]
    if r.confusion is not None:
        parts += [Text(""), *_confusion(r)]
    if r.against_float is not None and r.against_float.disagreements:
        parts += [Text(""), *_disagreements(r.against_float)]
    parts += notices(r.notices)
    return to_text(*parts, width=width, color=color)


def headline(r: AccuracyReport) -> str:
    """One sentence."""
    told = f"{r.model_path or 'the model'}: "
    if r.score is None:
        return told + "compared with the float model"
    told += f"{_NAMES.get(r.metric, r.metric)} {_figure(r.score.value)} on {r.samples} samples"
    if r.gate is None:
        return told
    sign, other = (">=", "<") if r.gate.kind == "min" else ("<=", ">")
    return (
        f"{told}, {sign} {r.gate.limit:g}" if r.gate.passed else f"{told}: MISSES THE LIMIT, {other} {r.gate.limit:g}"
    )


def _heading(r: AccuracyReport) -> list[tuple[str, RenderableType, Provenance | None]]:
    grouped = "" if r.groups is None else f" in {r.groups} groups"
    rows: list[tuple[str, RenderableType, Provenance | None]] = [
        ("data", f"{r.data}, {r.samples} of {r.available} samples{grouped}", None),
        ("answers by", f"{r.engine} ({r.samples / r.seconds:.1f} samples/s)" if r.seconds else r.engine, r.provenance),
    ]
    if r.compared is not None:
        c = r.compared
        same = f"equal to {c.reference}" if not c.differing else f"{c.differing} differ from {c.reference}"
        rows.append(("checked", f"{c.samples} samples: {same}", r.provenance))
    return rows


def _figures(r: AccuracyReport) -> list[tuple[str, RenderableType, Provenance | None]]:
    name = _NAMES.get(r.metric, r.metric)
    rows: list[tuple[str, RenderableType, Provenance | None]] = []
    if r.score is not None:
        rows.append((name, _scored(r.score), r.provenance))
    if r.gate is not None and r.score is not None and r.score.low is not None and r.score.high is not None:
        inside = r.score.low <= r.gate.limit <= r.score.high
        told = f"{'at least' if r.gate.kind == 'min' else 'at most'} {r.gate.limit:g}"
        rows.append(("limit", told + (": inside the interval, more samples would tell" if inside else ""), None))
    beside = r.against_float
    if beside is None:
        return rows
    rows.append(("float model", beside.path + ("" if beside.score is None else f": {_scored(beside.score)}"), None))
    if beside.difference is not None:
        d = beside.difference
        settled = d.low is not None and d.high is not None and not d.low <= 0 <= d.high
        rows.append(("difference", _scored(d, signed=True) + ("" if settled else ": not more than chance"), None))
    if beside.agreement is not None:
        different = len(beside.disagreements)
        rows.append(("agreement", f"{beside.agreement:.1%} same first choice, {different} different", None))
    for output, value in beside.sqnr_db.items():
        told = "the float output is all zero" if value is None else f"{value:.1f} dB"
        rows.append((f"SQNR {output}"[:40], "equal to float" if value == math.inf else told, None))
    return rows


def _figure(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1000 or value == 0 else f"{value:.4g}"


def _scored(score: Score, *, signed: bool = False) -> str:
    def shown(value: float) -> str:
        return ("+" if signed and value >= 0 else "") + _figure(value)

    if score.low is None or score.high is None:
        return shown(score.value) + (f" ({score.method})" if score.method else "")
    return f"{shown(score.value)}, 95 % interval {shown(score.low)} to {shown(score.high)} ({score.method})"


def _confusion(r: AccuracyReport) -> list[RenderableType]:
    assert r.confusion is not None
    matrix, classes = r.confusion, len(r.confusion)
    totals = matrix.sum(axis=1)
    if classes <= _MOST_CLASSES:
        columns = [("right \\ said", True), *((str(c), True) for c in range(classes)), ("found", True)]
        rows: list[list[RenderableType]] = [
            [
                str(c),
                *(str(n) if n else "·" for n in matrix[c]),
                f"{matrix[c, c] / totals[c]:.1%}" if totals[c] else "-",
            ]
            for c in range(classes)
        ]
        return [Text("confusion", style="bold"), listing(columns, rows)]
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    most = [divmod(int(i), classes) for i in np.argsort(-wrong, axis=None, kind="stable")[:_MOST_ROWS]]
    worst: list[list[RenderableType]] = [
        [str(right), str(said), str(wrong[right, said]), f"{wrong[right, said] / totals[right]:.1%}"]
        for right, said in most
        if wrong[right, said]
    ]
    title = Text(f"most frequent confusions of {classes} classes", style="bold")
    return [title, listing([("right", True), ("said", True), ("samples", True), ("of the class", True)], worst)]


def _disagreements(beside: AgainstFloat) -> list[RenderableType]:
    shown = beside.disagreements[:_MOST_ROWS]
    more = len(beside.disagreements) - len(shown)
    if shown[0].model is None:
        title = f"furthest from {beside.path}"
        rows: list[list[RenderableType]] = [[str(d.sample), f"{d.distance:.4g}"] for d in shown]
        return [Text(title, style="bold"), listing([("sample", True), ("distance", True)], rows)]
    title = "samples on which the two disagree" + (
        f" (the first {len(shown)}; {more} more with --json)" if more else ""
    )
    columns = [("sample", True), ("model", True), ("float", True), ("right", True), ("distance", True), ("", False)]
    return [Text(title, style="bold"), listing(columns, [_row(d) for d in shown])]


def _row(d: Disagreement) -> list[RenderableType]:
    who = "" if d.label is None else "model is right" if d.model == d.label else "float is right"
    if d.label is not None and d.label not in (d.model, d.float_model):
        who = "both are wrong"
    right = "" if d.label is None else str(d.label)
    return [str(d.sample), str(d.model), str(d.float_model), right, f"{d.distance:.4g}", who]
