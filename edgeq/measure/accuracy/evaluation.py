"""Evaluate: every sample through the model, beside the float model where there is one, and what that gives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError, EdgeqError, UsageError
from edgeq.events import Listener, Notice, Progress, silent
from edgeq.graph import Graph
from edgeq.measure.accuracy.engines import Engine
from edgeq.measure.accuracy.labelled import Labelled
from edgeq.measure.accuracy.metrics import Answers, Classes, Metric, class_labels, confusion, sqnr_db, squared_error
from edgeq.measure.accuracy.products import AccuracyReport, AgainstFloat, Disagreement, Gate

Array = npt.NDArray[Any]
_FURTHEST = 10
"""Samples that are named as the furthest from float, of models that aren't classifiers."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is evaluated.

    Attributes:
        engine: answers for the model of `graph`.
        metric: None where there is nothing to hold the answers against but the float model's.
        floating: answers for the float model, with its path; None without one.
        limit: the least figure that passes, or the greatest of a metric where less is better.
    """

    path: str
    graph: Graph
    engine: Engine
    metric: Metric | None
    floating: tuple[Engine, str] | None = None
    limit: float | None = None


def evaluate(
    subject: Subject,
    labelled: Labelled,
    *,
    samples: int = 0,
    seed: int = 0,
    listener: Listener = silent,
) -> AccuracyReport:
    """Run the samples and judge the answers.

    Args:
        samples: at most so many, chosen at random with `seed`; 0 for all.
        seed: of that choice and of every bootstrap.

    Raises:
        DataError: labels are missing, or not what the metric needs.
        UsageError: neither a metric nor a float model; or a limit without a metric.
        EdgeqError: the engine failed; the facts say after how many samples.
    """
    _refuse_pointless(subject)
    started = time.monotonic()
    chosen = labelled.first(samples, seed)
    answers, floating = _run(subject, chosen, listener)
    score = None if subject.metric is None else subject.metric.score(answers, seed)
    classes = Classes.of(subject.graph)
    matrix = None
    if classes is not None and answers.labels is not None and (subject.metric is None or subject.metric.name == "top1"):
        matrix = confusion(classes.choices(answers), class_labels(answers.labels), classes.count)
    gate = None
    if subject.limit is not None and subject.metric is not None and score is not None:
        better = subject.metric.higher_is_better
        passed = score.value >= subject.limit if better else score.value <= subject.limit
        gate = Gate("min" if better else "max", subject.limit, bool(passed))
    notices = _notices(subject, labelled, chosen, gate, answers)
    for text in notices:
        listener(Notice(text, "evaluate"))
    return AccuracyReport(
        model_path=subject.path,
        model_sha256=subject.graph.sha256,
        data=labelled.data.source,
        samples=len(chosen),
        available=len(labelled),
        groups=None if chosen.groups is None else len(np.unique(chosen.groups)),
        metric="" if subject.metric is None else subject.metric.name,
        higher_is_better=subject.metric is None or subject.metric.higher_is_better,
        score=score,
        engine=subject.engine.name,
        provenance=subject.engine.provenance,
        compared=subject.engine.compared,
        confusion=matrix,
        against_float=None if floating is None else _beside(subject, answers, floating, chosen, classes, seed),
        gate=gate,
        seed=seed,
        seconds=time.monotonic() - started,
        notices=notices,
    )


def _refuse_pointless(subject: Subject) -> None:
    if subject.metric is not None:
        return
    if subject.limit is not None:
        raise UsageError(
            "a limit needs a metric, and without labels there is none", next_step="give --labels, or name a --metric"
        )
    if subject.floating is None:
        raise UsageError(
            "there are neither labels nor a float model: nothing to hold the answers against",
            next_step="name the labels y in the .npz, or give --labels, or --float with the float model",
        )


def _run(subject: Subject, chosen: Labelled, listener: Listener) -> tuple[Answers, Answers | None]:
    count = len(chosen)
    engines = [subject.engine] + ([] if subject.floating is None else [subject.floating[0]])
    gathered: list[list[list[Array]]] = [[] for _ in engines]
    for index in range(count):
        listener(Progress("evaluate", index, count, "samples", f"sample {index + 1} of {count}"))
        sample = chosen.data.sample(index)
        for engine, found in zip(engines, gathered, strict=True):
            try:
                found.append(engine.run(sample))
            except EdgeqError as failed:
                failed.facts["samples_done"] = index
                raise
    listener(Progress("evaluate", count, count, "samples"))
    inputs = tuple(chosen.data.arrays)
    both = []
    for found in gathered:
        outputs = tuple(np.stack([answer[i] for answer in found]) for i in range(len(found[0])))
        both.append(Answers(outputs, inputs, chosen.labels, chosen.groups))
    return both[0], both[1] if len(both) > 1 else None


def _beside(
    subject: Subject, answers: Answers, floating: Answers, chosen: Labelled, classes: Classes | None, seed: int
) -> AgainstFloat:
    assert subject.floating is not None
    if [a.shape for a in answers.outputs] != [a.shape for a in floating.outputs]:
        raise DataError(
            "the float model gives other outputs: "
            f"{[a.shape[1:] for a in floating.outputs]} instead of {[a.shape[1:] for a in answers.outputs]}",
            where=subject.floating[1],
            next_step="give the float model that this one was made from",
        )
    names = [subject.graph.tensors[i].name for i in subject.graph.outputs]
    metric = subject.metric
    distance = np.sqrt(squared_error(answers.outputs[0], floating.outputs[0]))
    agreement: float | None = None
    mine: npt.NDArray[np.int64] | None = None
    its: npt.NDArray[np.int64] | None = None
    labels = None if answers.labels is None or classes is None else class_labels(answers.labels)
    if classes is not None:
        mine, its = classes.choices(answers), classes.choices(floating)
        agreement = float(np.mean(mine == its))
        differing = np.flatnonzero(mine != its)
    else:
        differing = np.argsort(-distance, kind="stable")[:_FURTHEST]
        differing = differing[distance[differing] > 0]
    disagreements = tuple(
        Disagreement(
            sample=chosen.data.numbers[i],
            model=None if mine is None else int(mine[i]),
            float_model=None if its is None else int(its[i]),
            label=None if labels is None else int(labels[i]),
            distance=float(distance[i]),
        )
        for i in differing
    )
    return AgainstFloat(
        path=subject.floating[1],
        score=None if metric is None else metric.score(floating, seed),
        difference=None if metric is None else metric.difference(answers, floating, seed),
        agreement=agreement,
        sqnr_db={n: sqnr_db(f, a) for n, f, a in zip(names, floating.outputs, answers.outputs, strict=True)},
        disagreements=disagreements,
    )


def _notices(
    subject: Subject, labelled: Labelled, chosen: Labelled, gate: Gate | None, answers: Answers
) -> tuple[str, ...]:
    told = list(labelled.data.notices)
    told += getattr(subject.engine, "notices", ())
    if len(chosen) < len(labelled):
        told.append(f"{len(chosen)} of {len(labelled)} samples were run, chosen at random")
    if subject.metric is None:
        told.append("there are no labels: only the distance to the float model is told")
    constant = [o for o in answers.outputs if len(o) > 1 and (o == o[:1]).all()]
    if constant:
        told.append("the model gives the same answer to every sample: is the preprocessing the one of training?")
    compared = subject.engine.compared
    if compared is not None and compared.differing:
        told.append(
            f"{compared.differing} of {compared.samples} answers differ from {compared.reference}: see `edgeq profile`"
        )
    return tuple(told)
