"""The flow's second page: how right a model is, and why it isn't."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import UsageError
from edgeq.events import Listener, silent
from edgeq.simulator import kept

if TYPE_CHECKING:
    from edgeq.graph import Graph
    from edgeq.importers import Model as FloatModel
    from edgeq.measure.accuracy import AccuracyReport, Engine
    from edgeq.pipeline import ModelLike, TargetLike
    from edgeq.quantize.mixed import MixedModel
    from edgeq.quantize.schemes import EndType
    from edgeq.quantize.sensitivity import Analysis
    from edgeq.toolchains.firmware import Firmware

HOST, HOST_C = "host", "host-c"
_ANY_CORE = "nucleo-l4r5zi"
"""Whose core stands in where only the portable kernels are asked for."""


def evaluate(
    model: ModelLike,
    *,
    data: Any,
    labels: object | None = None,
    metric: str = "",
    on: TargetLike = HOST,
    port: str = "",
    sim: bool = False,
    hardware: bool | None = None,
    firmware: Firmware | Path | None = None,
    float_model: str | Path | None = None,
    limit: float | None = None,
    samples: int = 0,
    seed: int = 0,
    timeout_s: float = 15.0,
    cache: Path | None = None,
    listener: Listener = silent,
) -> AccuracyReport:
    """How right a model's answers are on labelled data.

    Args:
        model: a `.tflite`, quantized or float, or anything that `convert` takes.
        data: see `edgeq.measure.accuracy.load_labelled`; labels are found in it, or given by `labels`.
        metric: top1, auc, mse or module:function; what suits the model without.
        on: "host", the reference interpreter; "host-c", edgeq's generated C on this computer; or a target, with `port`
            or `sim` as in `profile`.
        float_model: the model that this one was made from, to be held beside it.
        limit: the least score that passes; the greatest where less is better. It doesn't raise: see the report's gate.
        samples: at most so many, chosen at random; 0 for all.
        timeout_s: how long a port that went away is waited for; then the run goes on with the sample that was cut off.

    Raises:
        UsageError: a place, a metric or a combination that means nothing.
        DataError: the data don't suit the model, or the labels the metric.
        NegativeResult: the device runs another model.
        DeviceError: it doesn't answer.
    """
    from edgeq.measure import accuracy

    _check_place(on, port, sim)
    path, file, graph, imported = _open(model, listener)
    names = imported.inputs if imported is not None else ()
    beside = None
    if float_model is not None:
        from edgeq import importers

        original = importers.load(float_model, listener)
        names = names or original.inputs
        beside = (accuracy.FloatEngine(original), str(float_model))
    labelled = accuracy.load_labelled(data, graph, labels=labels, names=names)
    chosen = accuracy.choose_metric(metric, graph, labelled=labelled.labels is not None)
    with _engine(file, graph, imported, on, port, sim, hardware, firmware, timeout_s, cache, listener) as engine:
        subject = accuracy.Subject(path, graph, engine, chosen, beside, limit)
        return accuracy.evaluate(subject, labelled, samples=samples, seed=seed, listener=listener)


def _check_place(on: TargetLike, port: str, sim: bool) -> None:
    if on in (HOST, HOST_C):
        if port or sim:
            raise UsageError("a port or a virtual board belongs to a target", next_step="name it: --on TARGET")
    elif bool(port) == sim:
        raise UsageError(
            "a target needs a device: either a port or a virtual board", next_step="give --port PORT or --sim"
        )


def _open(model: ModelLike, listener: Listener) -> tuple[str, bytes, Graph, FloatModel | None]:
    """(path, bytes, graph, the float model where it is one)."""
    from edgeq import importers, pipeline
    from edgeq.importers.plain_float import plain_float
    from edgeq.measure.accuracy import is_float

    if isinstance(model, str | Path) and importers.kind_of(model) != "tflite":
        loaded = importers.load(model, listener)
        return str(model), loaded.tflite, loaded.graph, loaded
    read = pipeline.read_model(model)
    if not is_float(read.graph):
        return read.path, read.data, read.graph, None
    loaded = plain_float(read.data, name=read.graph.name, source=read.path, kind="tflite")
    told = hashlib.sha256(read.data).hexdigest()  # of the user's file, not of its plain form
    return read.path, loaded.tflite, replace(loaded.graph, sha256=told), loaded


@contextmanager
def _engine(
    file: bytes,
    graph: Graph,
    imported: FloatModel | None,
    on: TargetLike,
    port: str,
    sim: bool,
    hardware: bool | None,
    firmware: Firmware | Path | None,
    timeout_s: float,
    cache: Path | None,
    listener: Listener,
) -> Iterator[Engine]:
    from edgeq import pipeline
    from edgeq.measure import accuracy

    if on == HOST:
        yield accuracy.ReferenceEngine(file, graph) if imported is None else accuracy.FloatEngine(imported)
        return
    if on == HOST_C:
        with accuracy.HostCode(file, graph, pipeline.load_target(_ANY_CORE).core, cache) as compiled:
            yield compiled
        return
    board = pipeline.load_target(on)
    board.require_firmware("evaluate")
    if sim:
        pipeline._require_virtual_board(board)
    read = pipeline.Model(file, graph, graph.source)
    manifest = pipeline.generate(read, board).manifest
    baud = board.board.console.baud
    if sim or kept.is_address(port):
        pipeline._check_claim(True, hardware)
        built = firmware
        if sim and built is None:
            built = pipeline.build(read, board, cache=cache, listener=listener)
        with pipeline._virtual(built, board, port) as running:
            title = f"virtual {board.board.title}"
            with accuracy.Device(running.port, baud, "simulated", title, (file, graph), manifest, board) as device:
                yield device
        return
    from edgeq.measure.origin import provenance
    from edgeq.runners import ports

    if port == "auto":
        port = ports.console_of(board, ports.present()).device
    called = provenance(port, hardware)
    title = board.board.title if called == "measured" else ""
    with accuracy.Device(
        port, baud, called, title, (file, graph), manifest, board,
        find=ports.follow(port), reconnect_s=timeout_s, listener=listener,
    ) as device:  # fmt: skip
        yield device


def analyze(
    float_model: object,
    model: ModelLike,
    *,
    data: Any,
    samples: int = 50,
    seed: int = 0,
    listener: Listener = silent,
) -> Analysis:
    """Which layers of a quantized model lose the accuracy, and why; see `edgeq.quantize.sensitivity`.

    Args:
        float_model: anything that `convert` takes: what the quantized model was made from.
        data: inputs, see `edgeq.measure.accuracy.load_labelled`; labels in them aren't needed.
        samples: at most so many of them, chosen at random with `seed`.

    Raises:
        UsageError: the second model isn't quantized, or the two have different ends.
        DataError: the data don't suit the model.
        UnsupportedError: an interpreter can't run a part of either model.
    """
    from edgeq import importers, pipeline
    from edgeq.measure.accuracy import load_labelled
    from edgeq.quantize import sensitivity

    original = float_model if isinstance(float_model, importers.Model) else importers.load(float_model, listener)
    read = pipeline.read_model(model)
    labelled = load_labelled(data, read.graph, names=original.inputs)
    return sensitivity.analyze(
        original,
        read.data,
        read.graph,
        labelled.data,
        samples=samples,
        seed=seed,
        model_path=read.path,
        listener=listener,
    )


def convert_mixed(
    source: object,
    target: TargetLike,
    *,
    representative_data: Any,
    max_drop: float | None = None,
    max_latency_ms: float | None = None,
    max_flash_bytes: int | None = None,
    labels: object | None = None,
    io: EndType | None = None,
    calibration: str = "auto",
    repair: str | Sequence[str] = "auto",
    samples: int | None = None,
    seed: int = 0,
    signature: str = "",
    cache: Path | None = None,
    listener: Listener = silent,
) -> MixedModel:
    """A `.tflite` with 4, 8 or 16 bits for each layer, as a bound on a target wants; see `edgeq.quantize.mixed`.

    Cycles are estimated where the costs of all kernels are known, else counted on the target's virtual board.

    Raises:
        UsageError, NegativeResult, UnsupportedError: see `edgeq.quantize.mixed.convert_mixed`.
    """
    from edgeq import pipeline
    from edgeq.importers import ImportOptions
    from edgeq.quantize import mixed

    board = pipeline.load_target(target)

    def cycles_of(data: bytes, graph: Graph) -> dict[str, float]:
        measured = pipeline.profile(pipeline.Model(data, graph), board, sim=True, samples=1, runs=1, cache=cache)
        return {time.layer.name: float(time.cycles) for time in measured.layers}

    return mixed.convert_mixed(
        source,
        target=board,
        goal=mixed.Goal(max_drop, max_latency_ms, max_flash_bytes),
        representative_data=representative_data,
        labels=labels,
        io=io,
        calibration=calibration,
        repair=repair,
        samples=samples,
        seed=seed,
        options=ImportOptions(signature, None, cache),
        cycles_of=cycles_of,
        listener=listener,
    )
