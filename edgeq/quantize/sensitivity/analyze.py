"""The whole analysis: match, measure, explain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeq.errors import UsageError
from edgeq.events import Event, Listener, Notice, silent
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.quantize.data import Dataset
from edgeq.quantize.sensitivity.causes import find_causes
from edgeq.quantize.sensitivity.errors import affordable, measure
from edgeq.quantize.sensitivity.matching import match
from edgeq.quantize.sensitivity.products import Analysis, LayerError
from edgeq.quantize.sensitivity.rescaled import rescaled
from edgeq.quantize.sensitivity.tally import decibels, energy

DEFAULT_SAMPLES = 50
_EQUALIZED = (
    "channels were scaled before quantization (equalized): layers are held against the float model scaled alike, which "
    "computes the same"
)


def analyze(
    model: Model,
    data: bytes,
    graph: Graph,
    dataset: Dataset,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    model_path: str = "",
    listener: Listener = silent,
) -> Analysis:
    """Which layers of a quantized model lose the accuracy, and why.

    Args:
        model: the float model that it was made from.
        data, graph: the quantized one.
        dataset: inputs in real values; no labels are needed.
        samples: at most so many of them, chosen at random with `seed`.

    Raises:
        UsageError: the second model isn't quantized, or the two have different ends.
        UnsupportedError: an interpreter can't run a part of either model.
    """
    _refuse_strangers(model, graph)
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)
        listener(event)

    count = affordable(model.graph, min(samples, len(dataset)))
    if count < min(samples, len(dataset)):
        note(Notice(f"{count} samples are analysed: more of these activations don't fit into memory", "analyze"))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count])
    matching = match(model.graph, graph)
    alike = rescaled(model, graph, matching)
    if alike is not None:
        note(Notice(_EQUALIZED, "analyze"))
        model, matching = alike, match(alike.graph, graph)
    unmatched = tuple(graph.label(graph.ops[i]) for i in matching.unmatched)
    if unmatched:
        told = ", ".join(unmatched[:3]) + (" …" if len(unmatched) > 3 else "")
        note(Notice(f"{len(unmatched)} of {len(graph.ops)} operators have no counterpart in float: {told}", "analyze"))
    measured = measure(model, data, graph, matching, dataset.subset([int(i) for i in chosen]), note)
    outputs = {
        name: decibels(energy(wanted), energy(got.reshape(wanted.shape) - wanted))
        for name, (wanted, got) in zip(model.outputs, measured.outputs, strict=True)
    }
    if alike is None:
        _suspect_equalized(measured.layers, outputs, note)
    return Analysis(
        float_path=model.source,
        model_path=model_path or graph.source,
        model_sha256=graph.sha256,
        data=dataset.source,
        samples=count,
        available=len(dataset),
        layers=measured.layers,
        causes=find_causes(measured.layers),
        output_sqnr_db=outputs,
        agreement=_agreement(*measured.outputs[0]),
        unmatched=unmatched,
        reference=measured.reference,
        notices=tuple(notices),
    )


def _refuse_strangers(model: Model, graph: Graph) -> None:
    if not any(t.quant is not None and not t.is_constant for t in graph.tensors):
        raise UsageError(
            "computes in float: there are no integer activations to analyse",
            where=graph.source or graph.name,
            next_step="give the float model first and the quantized one second",
        )
    mine = [[graph.tensors[i].elements for i in ends] for ends in (graph.inputs, graph.outputs)]
    its = [[model.graph.tensors[i].elements for i in ends] for ends in (model.graph.inputs, model.graph.outputs)]
    if mine != its:
        raise UsageError(
            f"the two have different ends: inputs of {its[0]} and {mine[0]} values, outputs of {its[1]} and {mine[1]}",
            where=graph.source or graph.name,
            next_step="give the float model that the quantized one was made from",
        )


def _suspect_equalized(layers: tuple[LayerError, ...], outputs: dict[str, float | None], note: Listener) -> None:
    """Rescaled layers whose network is right all the same were rescaled on purpose."""
    scaled = [
        layer
        for layer in layers
        if layer.weights is not None and float(np.median(np.abs(layer.weights.slope - 1.0))) > 0.05
    ]
    good = all(value is None or value > 10.0 for value in outputs.values())
    if len(scaled) >= 2 and good:
        note(
            Notice(
                f"{len(scaled)} layers have other weights than the float model, and the outputs agree all the same: "
                "the quantized model was made from a repaired (equalized) float model. Single layers can't be held "
                "against this one; analyze against the repaired one",
                "analyze",
            )
        )


def _agreement(wanted: npt.NDArray[np.float32], got: npt.NDArray[np.float32]) -> float | None:
    if wanted[0].size < 2 or wanted[0].size != wanted.shape[-1]:
        return None
    first = wanted.reshape(len(wanted), -1).argmax(axis=1)
    return float(np.mean(first == got.reshape(len(got), -1).argmax(axis=1)))
