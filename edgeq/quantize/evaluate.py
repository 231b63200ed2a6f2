"""How far the quantized model is from the float one, on samples that took no part in calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.events import Listener, Progress, silent
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.quantize.affine import dequantized, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.data import Dataset
from edgeq.quantize.products import Accuracy, Evaluation, OutputError
from edgeq.reference import Reference

_Outputs = list[npt.NDArray[np.float32]]


def evaluate(
    model: Model,
    quantized_model: bytes,
    graph: Graph,
    data: Dataset,
    *,
    held_back: bool,
    listener: Listener = silent,
) -> Evaluation:
    """Run both models on `data`.

    Args:
        graph: of `quantized_model`.
        held_back: whether `data` took no part in calibration; goes into the product.

    Raises:
        UnsupportedError: an interpreter can't run one of them.
    """
    floats = FloatRunner(model)
    expected = [[np.array(o, np.float32) for o in floats.run(data.sample(i))] for i in range(len(data))]
    return compare(model, expected, quantized_model, graph, data, held_back=held_back, listener=listener)


def compare(
    model: Model,
    expected: Sequence[_Outputs],
    quantized_model: bytes,
    graph: Graph,
    data: Dataset,
    *,
    held_back: bool,
    listener: Listener = silent,
) -> Evaluation:
    """Run the quantized model on `data` and hold it against outputs that are known already.

    Args:
        expected: the outputs of each sample, in the model's order, batch of one.

    Raises:
        UnsupportedError: the reference can't run the quantized model.
    """
    reference = Reference(quantized_model, graph)
    stateful = any(t.is_variable for t in graph.tensors)
    actual: list[_Outputs] = []
    for index in range(len(data)):
        if stateful:
            reference.reset()
        actual.append(_run_quantized(reference, graph, data.sample(index)))
        listener(Progress("evaluate", index + 1, len(data), "samples"))
    choices = None
    if is_classifier(model.graph):
        threshold = is_binary(model.graph)
        choices = choices_of(expected, threshold), choices_of(actual, threshold)
    return Evaluation(
        samples=len(data),
        held_back=held_back,
        outputs=tuple(
            _output_error(name, [e[i] for e in expected], [a[i] for a in actual])
            for i, name in enumerate(model.outputs)
        ),
        top1_agreement=None if choices is None else float(np.mean(choices[0] == choices[1])),
        accuracy=_accuracy(choices, data),
        reference=reference.name,
    )


def _run_quantized(reference: Reference, graph: Graph, sample: list[npt.NDArray[np.generic]]) -> _Outputs:
    stored = [quantized(graph.tensors[index], array) for index, array in zip(graph.inputs, sample, strict=True)]
    outputs = reference.run(stored)
    return [dequantized(graph.tensors[i], o) for i, o in zip(graph.outputs, outputs, strict=True)]


def _output_error(name: str, expected: _Outputs, actual: _Outputs) -> OutputError:
    wanted = np.stack(expected).astype(np.float64)
    error = np.stack(actual).astype(np.float64) - wanted
    signal, noise = float(np.sum(wanted**2)), float(np.sum(error**2))
    if signal == 0.0:
        sqnr = None
    elif noise == 0.0:
        sqnr = math.inf
    else:
        sqnr = 10.0 * math.log10(signal / noise)
    return OutputError(name, sqnr, float(np.max(np.abs(error), initial=0.0)))


def is_classifier(graph: Graph) -> bool:
    """One score per class in the first output; an output as long as an input is rather a reconstruction."""
    first = graph.tensors[graph.outputs[0]]
    if len(first.shape) != 2 or first.shape[0] != 1:
        return False
    if first.elements == 1:
        return is_binary(graph)
    return all(graph.tensors[i].elements != first.elements for i in graph.inputs)


def is_binary(graph: Graph) -> bool:
    """A single score that is a probability."""
    index = graph.outputs[0]
    return graph.tensors[index].elements == 1 and any(op.kind == "LOGISTIC" and index in op.outputs for op in graph.ops)


def choices_of(outputs: Sequence[Sequence[npt.NDArray[Any]]], threshold: bool) -> npt.NDArray[np.int64]:
    """The class of each sample: the highest score of the first output, or whether its only one is above a half."""
    scores = np.stack([o[0].reshape(-1) for o in outputs])
    first: npt.NDArray[np.int64] = np.argmax(scores, axis=1).astype(np.int64)
    return (scores[:, 0] > 0.5).astype(np.int64) if threshold else first


def _accuracy(choices: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None, data: Dataset) -> Accuracy | None:
    if choices is None or data.labels is None:
        return None
    return Accuracy(
        float_model=float(np.mean(choices[0] == data.labels)),
        quantized_model=float(np.mean(choices[1] == data.labels)),
        samples=len(data),
    )
