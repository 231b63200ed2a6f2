"""How good a candidate is, on samples held back for that."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.candidates import Floats, Score
from edgeq.quantize.data import Dataset
from edgeq.quantize.evaluate import choices_of, is_binary, is_classifier

_WORST_DB, _BEST_DB = -10.0, 70.0
"""A sample's SQNR is cut off there: beyond, differences say nothing."""


class Judge:
    """Float outputs of the judging samples, and what candidates make of them.

    Of a model that ends in SOFTMAX or LOGISTIC, SQNR is that of their inputs: probabilities near 0 and 1 look equal
    long after the scores behind them have come apart.

    Candidates run on LiteRT's fast integer kernels: they differ from the reference by a step here and there, which is
    nothing beside the differences between candidates.
    """

    def __init__(self, model: Model, data: Dataset) -> None:
        self._data = data
        runner = _Runner(model.tflite, model.graph)
        self._wanted = [runner.run(data.sample(i)) for i in range(len(data))]
        self._classes = is_classifier(model.graph)
        self._binary = is_binary(model.graph)

    def score(self, candidate: bytes, graph: Graph) -> Score:
        """Run a quantized model on the samples.

        Raises:
            UnsupportedError: LiteRT can't run it.
        """
        runner = _Runner(candidate, graph)
        found = [runner.run(self._data.sample(i)) for i in range(len(self._data))]
        pairs = zip(self._wanted, found, strict=True)
        decibels = np.array([_sqnr_db(wanted.scores, got.scores) for wanted, got in pairs])
        if not self._classes:
            return Score(decibels, None, None)
        wanted, chosen = (choices_of([r.outputs for r in runs], self._binary) for runs in (self._wanted, found))
        right = None if self._data.labels is None else chosen == self._data.labels
        return Score(decibels, right, float(np.mean(wanted == chosen)))


@dataclass(frozen=True, eq=False)
class _Result:
    """Of one sample, in real values.

    Attributes:
        outputs: the model's.
        scores: what is compared: the same, or what a final SOFTMAX or LOGISTIC makes them of.
    """

    outputs: list[Floats]
    scores: list[Floats]


class _Runner:
    def __init__(self, data: bytes, graph: Graph) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._graph = graph
        self._scores = [_behind(graph, index) for index in graph.outputs]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._interpreter: Any = Interpreter(
                    model_content=data,
                    experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                    experimental_preserve_all_tensors=True,
                    num_threads=1,
                )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as refused:
            raise self._unsupported(refused) from refused

    def run(self, sample: list[npt.NDArray[Any]]) -> _Result:
        """One inference."""
        tensors = self._graph.tensors
        try:
            self._interpreter.reset_all_variables()
            for index, array in zip(self._graph.inputs, sample, strict=True):
                self._interpreter.set_tensor(index, quantized(tensors[index], array))
            self._interpreter.invoke()
            outputs = [self._real(index) for index in self._graph.outputs]
            scores = [
                output if behind is None else self._compared(*behind)
                for behind, output in zip(self._scores, outputs, strict=True)
            ]
        except (RuntimeError, ValueError) as failed:
            raise self._unsupported(failed) from failed
        return _Result(outputs, scores)

    def _compared(self, index: int, kind: str) -> Floats:
        scores = self._real(index)
        return scores - scores.mean() if kind == "SOFTMAX" else scores  # which a common summand doesn't change

    def _real(self, index: int) -> Floats:
        return dequantized(self._graph.tensors[index], self._interpreter.get_tensor(index)).astype(np.float64)

    def _unsupported(self, failure: Exception) -> UnsupportedError:
        return UnsupportedError(
            f"LiteRT can't run the quantized model: {str(failure).strip()}",
            where=self._graph.source or self._graph.name,
            next_step="convert with another scheme, or report it: the file is one that LiteRT's quantizer made",
        )


def _behind(graph: Graph, output: int) -> tuple[int, str] | None:
    """The tensor that a final SOFTMAX or LOGISTIC reads, and which it is; None where there is none."""
    writers = {index: op for op in graph.ops for index in op.outputs}
    op = writers.get(output)
    while op is not None and op.kind in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
        op = writers.get(op.inputs[0])
    return (op.inputs[0], op.kind) if op is not None and op.kind in ("SOFTMAX", "LOGISTIC") else None


def _sqnr_db(wanted: list[Floats], found: list[Floats]) -> float:
    """The mean over outputs."""
    return float(np.mean([_of_one(w, f) for w, f in zip(wanted, found, strict=True)]))


def _of_one(wanted: Floats, found: Floats) -> float:
    signal, noise = float(np.sum(wanted**2)), float(np.sum((found - wanted) ** 2))
    if noise == 0.0:
        return _BEST_DB
    if signal == 0.0:
        return _WORST_DB
    return min(max(10.0 * math.log10(signal / noise), _WORST_DB), _BEST_DB)
