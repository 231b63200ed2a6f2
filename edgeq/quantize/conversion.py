"""The whole conversion: import, data, calibration, quantization, proof, evaluation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast, get_args

from edgeq import importers, registry, tflite
from edgeq.errors import UnsupportedError, UsageError
from edgeq.events import Event, Listener, Notice, silent
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.quantize.calibration import calibrate
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.evaluate import evaluate
from edgeq.quantize.methods import Method
from edgeq.quantize.products import ConversionReport, EndType, Evaluation, Leftover, QuantizedModel
from edgeq.quantize.proof import float_leftovers
from edgeq.quantize.ptq import QUANTIZER, quantize
from edgeq.quantize.split import MIN_TO_SPLIT, Split, split


def convert(
    source: str | Path | Model | object,
    *,
    representative_data: Source | None,
    io: EndType = "int8",
    method: str = "min-max",
    labels: object | None = None,
    samples: int | None = None,
    seed: int = 0,
    allow_float: bool = False,
    listener: Listener = silent,
) -> QuantizedModel:
    """Make an int8 `.tflite` of a trained network.

    Args:
        source: `.keras`, `.h5`, float `.tflite`, a SavedModel folder, a Keras model object, or a Model.
        representative_data: typical inputs, prepared as for training; see `edgeq.quantize.data.load_data`.
        io: type of the model's inputs and outputs.
        method: how activation ranges are chosen: a name in `edgeq.registry.CALIBRATIONS`.
        labels: class per sample, for the accuracy in the report.
        samples: calibrate with so many at most (500 unless told).
        seed: of the random split into calibration and held-back samples.
        allow_float: accept operators that stay in float; they are in the report then.

    Raises:
        UsageError: an unknown method or io, or no representative data.
        ModelFileError, DataError: the model or the data can't be read or don't fit each other.
        UnsupportedError: quantized already, or with operators that have no integer form.
        MissingDependencyError: what the conversion needs is not installed.
    """
    chosen = _checked_choices(representative_data, io, method, samples)
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)
        listener(event)

    clock = _Clock()
    with clock.stage("import"):
        model = source if isinstance(source, Model) else importers.load(source, note)
    with clock.stage("data"):
        data = load_data(cast(Source, representative_data), model, labels=labels)
        for text in data.notices:
            note(Notice(text, "data"))
        parts = split(len(data), seed, samples)
        _note_split(parts, data, note)
    with clock.stage("calibrate"):
        ranges = calibrate(model, data.subset(parts.calibration), chosen, note)
    with clock.stage("quantize"):
        result = quantize(model, ranges, io)
        graph = tflite.parse(result, "", model.name)
        leftovers = float_leftovers(graph)
        if leftovers and not allow_float:
            raise _not_integer(model, graph, leftovers)
    with clock.stage("evaluate"):
        evaluation = evaluate(
            model, result, graph, data.subset(parts.held_back), held_back=parts.disjoint, listener=note
        )
    report = _report(model, result, graph, chosen, io, seed, parts, evaluation, leftovers, clock, notices)
    return QuantizedModel(result, graph, report)


def _checked_choices(data: Source | None, io: str, method: str, samples: int | None) -> Method:
    if io not in get_args(EndType):
        raise UsageError(f"io '{io}' is not possible", next_step=f"choose one of: {', '.join(get_args(EndType))}")
    if data is None:
        raise UsageError(
            "conversion to integers needs representative data",
            next_step="--representative-data calib.npz with 25 to 50 typical inputs or more",
        )
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} samples can't calibrate anything", next_step="give 1 or more")
    registry.require(QUANTIZER, "conversion")
    return cast(Method, registry.load(registry.CALIBRATIONS, method, "calibration method"))


def _note_split(parts: Split, data: Dataset, note: Listener) -> None:
    if not parts.disjoint:
        note(
            Notice(
                f"only {len(data)} samples: none held back (that takes {MIN_TO_SPLIT}), so the figures come from "
                "the samples that were calibrated with, and flatter",
                "data",
            )
        )
    unused = len(data) - len(set(parts.calibration) | set(parts.held_back))
    if unused:
        note(
            Notice(
                f"{len(parts.calibration)} of {len(data)} samples calibrate, {len(parts.held_back)} judge; "
                f"{unused} are not needed",
                "data",
            )
        )


def _not_integer(model: Model, graph: Graph, leftovers: tuple[Leftover, ...]) -> UnsupportedError:
    causes = [item for item in leftovers if item.kind not in ("QUANTIZE", "DEQUANTIZE")] or list(leftovers)
    lines = "".join(f"\n  {item.kind} #{item.index} ({item.name}): {item.reason}" for item in causes)
    return UnsupportedError(
        f"{len(causes)} of {len(graph.ops)} operators stay in floating point:{lines}",
        where=model.source or model.name,
        next_step="replace these layers in the network, or accept them with --allow-float",
        leftovers=[vars(item) for item in leftovers],
    )


def _report(
    model: Model,
    result: bytes,
    graph: Graph,
    method: Method,
    io: EndType,
    seed: int,
    parts: Split,
    evaluation: Evaluation,
    leftovers: tuple[Leftover, ...],
    clock: _Clock,
    notices: list[str],
) -> ConversionReport:
    return ConversionReport(
        source=model.source,
        kind=model.kind,
        method=method.name,
        io=io,
        seed=seed,
        calibration_samples=len(parts.calibration),
        float_bytes=len(model.tflite),
        quantized_bytes=len(result),
        float_weights_bytes=_constant_bytes(model.graph),
        quantized_weights_bytes=_constant_bytes(graph),
        evaluation=evaluation,
        leftovers=leftovers,
        seconds=clock.seconds(),
        notices=tuple(notices),
    )


def _constant_bytes(graph: Graph) -> int:
    return sum(tensor.size_bytes for tensor in graph.tensors if tensor.is_constant)


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        return dict(self._seconds)
