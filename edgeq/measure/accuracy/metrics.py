"""What is computed from the answers: top-1, area under the curve, mean squared error, or the user's own function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError, UsageError
from edgeq.graph import Graph
from edgeq.measure.accuracy import intervals
from edgeq.measure.accuracy.products import Score
from edgeq.quantize.data_generator import function_named

Array = npt.NDArray[Any]
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_OWN_RESAMPLES = 200
"""Of a user's function, which may be slow."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of each sample. This is what a metric of one's own is given.

    Attributes:
        outputs: one array per output of the model, real values, float32 (samples, …).
        inputs: one array per input, real values (samples, …).
        labels: (samples, …) as the user gave them, or None.
        groups: (samples,) or None: samples with the same number belong together.
    """

    outputs: tuple[Array, ...]
    inputs: tuple[Array, ...]
    labels: Array | None
    groups: _Integers | None

    def __len__(self) -> int:
        return len(self.outputs[0])

    @property
    def reconstruction_error(self) -> _Floats:
        """Mean squared difference of first output and first input, of each sample."""
        return squared_error(self.outputs[0], self.inputs[0])

    def take(self, samples: _Integers) -> Answers:
        """These samples only, as often as they are named."""
        return Answers(
            tuple(a[samples] for a in self.outputs),
            tuple(a[samples] for a in self.inputs),
            None if self.labels is None else self.labels[samples],
            None if self.groups is None else self.groups[samples],
        )


class Metric(Protocol):
    """One way to judge answers."""

    @property
    def name(self) -> str:
        """As `--metric` names it."""

    @property
    def higher_is_better(self) -> bool:
        """Which way it counts."""

    def score(self, answers: Answers, seed: int) -> Score:
        """The figure with its interval."""

    def difference(self, model: Answers, floating: Answers, seed: int) -> Score:
        """The model's figure minus the float model's, on the same samples."""


def squared_error(first: Array, second: Array) -> _Floats:
    """Mean squared difference of each sample, float64 (samples,)."""
    gap = first.reshape(len(first), -1).astype(np.float64) - second.reshape(len(second), -1)
    found: _Floats = np.mean(gap * gap, axis=1)
    return found


@dataclass(frozen=True)
class Classes:
    """How a classifier's first output is read.

    Attributes:
        threshold: of a single probability, above which the choice is class 1; None for one score per class.
    """

    count: int
    threshold: float | None = None

    @classmethod
    def of(cls, graph: Graph) -> Classes | None:
        """None when the first output isn't a list of classes: it has rows, or is as long as an input."""
        first = graph.tensors[graph.outputs[0]]
        if not first.shape or first.elements != first.shape[-1]:
            return None
        if first.elements == 1:
            probability = any(op.kind == "LOGISTIC" and _leads_to(graph, op.outputs[0]) for op in graph.ops)
            return cls(2, 0.5) if probability else None
        if any(graph.tensors[i].elements == first.elements for i in graph.inputs):
            return None
        return cls(first.elements)

    def choices(self, answers: Answers) -> _Integers:
        """The first choice of each sample; of equal scores the first."""
        scores = answers.outputs[0].reshape(len(answers), -1)
        if self.threshold is not None:
            return (scores[:, 0] > self.threshold).astype(np.int64)
        first: _Integers = np.argmax(scores, axis=1).astype(np.int64)
        return first


def _leads_to(graph: Graph, index: int) -> bool:
    """Whether a tensor is the first output, or becomes it by a mere change of type."""
    if index == graph.outputs[0]:
        return True
    kinds = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")
    return any(_leads_to(graph, op.outputs[0]) for op in graph.ops if op.kind in kinds and op.inputs[0] == index)


@dataclass(frozen=True)
class Top1:
    """Share of samples whose label is the first choice."""

    classes: Classes
    name: str = "top1"
    higher_is_better: bool = True

    def score(self, answers: Answers, seed: int) -> Score:
        """Wilson's interval, or a bootstrap of groups."""
        right = self._right(answers)
        if answers.groups is None:
            return intervals.wilson(int(right.sum()), len(right))
        return intervals.mean(right, answers.groups, seed)

    def difference(self, model: Answers, floating: Answers, seed: int) -> Score:
        """Bootstrap of the paired differences."""
        return intervals.mean(self._right(model) - self._right(floating), model.groups, seed)

    def _right(self, answers: Answers) -> _Floats:
        found: _Floats = (self.classes.choices(answers) == class_labels(answers.labels)).astype(np.float64)
        return found


@dataclass(frozen=True)
class Auc:
    """Area under the receiver's curve of two classes; the label of the positive ones is 1.

    The score is a single output, or the second of two minus the first, or, of a model that gives back its input, the
    mean squared error of that: an anomaly is what it can't reconstruct. Groups count once, with their mean score.
    """

    name: str = "auc"
    higher_is_better: bool = True

    def score(self, answers: Answers, seed: int) -> Score:
        """DeLong's interval."""
        scores, positive = self._scores(answers)
        return intervals.delong(scores, positive)

    def difference(self, model: Answers, floating: Answers, seed: int) -> Score:
        """DeLong's paired interval."""
        scores, positive = self._scores(model)
        return intervals.delong_difference(scores, self._scores(floating)[0], positive)

    def _scores(self, answers: Answers) -> tuple[_Floats, npt.NDArray[np.bool_]]:
        labels = class_labels(answers.labels)
        scores = self._each(answers)
        if answers.groups is not None:
            counts = np.maximum(np.bincount(answers.groups), 1)
            shares = np.bincount(answers.groups, labels == 1) / counts
            if not np.isin(shares, (0.0, 1.0)).all():
                raise DataError("samples of one group have different labels", next_step="label whole groups")
            scores, labels = np.bincount(answers.groups, scores) / counts, shares.astype(np.int64)
        if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
            found = np.unique(labels)[:8].tolist()
            raise DataError(
                f"an area under the curve needs labels 0 and 1, both of them; there are {found}",
                next_step="label the positive class 1 and the others 0, or choose --metric top1",
            )
        return scores, labels == 1

    def _each(self, answers: Answers) -> _Floats:
        first = answers.outputs[0].reshape(len(answers), -1).astype(np.float64)
        if first.shape[1] == 1:
            return first[:, 0]
        if first.shape[1] == 2:
            return first[:, 1] - first[:, 0]
        if first[0].size == answers.inputs[0][0].size:
            return answers.reconstruction_error
        raise UsageError(
            f"an area under the curve needs one score per sample; the model gives {first.shape[1]}",
            next_step="--metric module:function makes a score of them as you mean it",
        )


@dataclass(frozen=True)
class Mse:
    """Mean squared error of the first output against the labels; without labels, against the input itself."""

    name: str = "mse"
    higher_is_better: bool = False

    def score(self, answers: Answers, seed: int) -> Score:
        """Bootstrap over samples or groups."""
        return intervals.mean(self._each(answers), answers.groups, seed)

    def difference(self, model: Answers, floating: Answers, seed: int) -> Score:
        """Bootstrap of the paired differences."""
        return intervals.mean(self._each(model) - self._each(floating), model.groups, seed)

    def _each(self, answers: Answers) -> _Floats:
        wanted = answers.inputs[0] if answers.labels is None else answers.labels
        if wanted[0].size != answers.outputs[0][0].size:
            what = "the input" if answers.labels is None else "a label"
            raise DataError(
                f"{what} has {wanted[0].size} values, the model's first output {answers.outputs[0][0].size}",
                next_step="give --labels with what the model should have said, one array per sample",
            )
        return squared_error(answers.outputs[0], wanted)


@dataclass(frozen=True, eq=False)
class Own:
    """A function of the user's: Answers in, one number out."""

    name: str
    function: Callable[[Answers], float]
    higher_is_better: bool = True

    def score(self, answers: Answers, seed: int) -> Score:
        """Bootstrap; the function sees each resample as if it were the data."""
        return self._over(lambda samples: self._call(answers.take(samples)), answers, seed, self._call(answers))

    def difference(self, model: Answers, floating: Answers, seed: int) -> Score:
        """Bootstrap of the paired differences."""
        return self._over(
            lambda samples: self._call(model.take(samples)) - self._call(floating.take(samples)), model, seed, None
        )

    def _over(self, function: Callable[[_Integers], float], answers: Answers, seed: int, value: float | None) -> Score:
        return intervals.bootstrap(function, len(answers), answers.groups, seed, _OWN_RESAMPLES, value)

    def _call(self, answers: Answers) -> float:
        try:
            found = float(self.function(answers))
        except Exception as failed:  # the user's code may raise anything
            raise DataError(
                f"the metric raised {type(failed).__name__}: {failed}",
                where=self.name,
                next_step="it is given an object with outputs, inputs, labels and groups, and gives one number back; "
                "see docs/accuracy.md",
            ) from failed
        return found


def class_labels(labels: Array | None) -> _Integers:
    """Labels as class numbers, int64 (samples,).

    Raises:
        DataError: there are none, or they aren't class numbers.
    """
    if labels is None:
        raise DataError(
            "this metric needs labels",
            next_step="name the array y in the .npz, or give --labels with a key of it or a .npy",
        )
    array = labels
    if array.ndim == 2 and array.shape[1] > 1:
        array = array.argmax(axis=1)  # one-hot
    array = array.reshape(len(array), -1)[:, 0] if array.size == len(array) else array
    if array.ndim != 1 or array.dtype.kind not in "iufb" or not np.array_equal(array, np.round(array)):
        raise DataError(
            f"the labels are {labels.dtype} {labels.shape}, not one class number per sample",
            next_step="give the index of the class, 0 for the first output",
        )
    return array.astype(np.int64)


def choose_metric(name: str, graph: Graph, *, labelled: bool) -> Metric | None:
    """The metric of that name; with "", the one that suits the model, None where there are no labels for it.

    Raises:
        UsageError: no such metric, or the model's output doesn't suit it.
        DataError: the user's function can't be imported.
    """
    classes = Classes.of(graph)
    if not name:
        if classes is not None:
            return Top1(classes) if labelled else None
        same = graph.tensors[graph.inputs[0]].elements == graph.tensors[graph.outputs[0]].elements
        return Mse() if labelled or same else None
    if name == "top1":
        if classes is None:
            shape = graph.tensors[graph.outputs[0]].shape
            raise UsageError(
                f"the model's first output, of shape {shape}, is no list of classes",
                next_step="choose --metric auc, mse or module:function",
            )
        return Top1(classes)
    if name in ("auc", "mse"):
        return Auc() if name == "auc" else Mse()
    if ":" not in name:
        raise UsageError(f"there is no metric '{name}'", next_step="choose one of: top1, auc, mse, module:function")
    return Own(name, cast(Callable[[Answers], float], function_named(name)))


def confusion(choices: _Integers, labels: _Integers, classes: int) -> npt.NDArray[np.int64]:
    """Counts, int64 (classes, classes): rows the right class, columns the choice."""
    size = max(classes, int(labels.max(initial=0)) + 1)
    if labels.min(initial=0) < 0:
        raise DataError("a label is below 0", next_step="give the index of the class, 0 for the first output")
    return np.bincount(labels * size + choices, minlength=size * size).reshape(size, size).astype(np.int64)


def sqnr_db(wanted: Array, got: Array) -> float | None:
    """10 log10(signal over difference); infinite when equal, None when the signal is zero."""
    signal = float(np.sum(wanted.astype(np.float64) ** 2))
    noise = float(np.sum((got.astype(np.float64) - wanted) ** 2))
    if signal == 0.0:
        return None
    return math.inf if noise == 0.0 else 10.0 * math.log10(signal / noise)
