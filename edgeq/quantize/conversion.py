"""The whole conversion: import, data, the choice of repairs and calibration, proof, evaluation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeq import importers, registry
from edgeq.errors import UnsupportedError, UsageError
from edgeq.events import Event, Listener, Notice, silent
from edgeq.graph import Graph
from edgeq.importers import ImportOptions, Model
from edgeq.quantize.choose import ALL, AUTO, NONE, Wishes, choose
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.evaluate import evaluate
from edgeq.quantize.feasible import require_runnable
from edgeq.quantize.products import ConversionReport, Leftover, QuantizedModel
from edgeq.quantize.proof import float_leftovers
from edgeq.quantize.ptq import QUANTIZER, end_type
from edgeq.quantize.recipes import PerLayer, by_name
from edgeq.quantize.schemes import DEFAULT, EndType, Scheme, scheme_named
from edgeq.quantize.screening import Suspicion, odd_samples, screen
from edgeq.quantize.split import MIN_TO_SPLIT, Split, split
from edgeq.target import Target


def convert(
    source: str | Path | Model | object,
    *,
    representative_data: Source | None = None,
    scheme: str | Scheme = DEFAULT,
    per_layer: PerLayer | None = None,
    io: EndType | None = None,
    target: Target | None = None,
    calibration: str = AUTO,
    repair: str | Sequence[str] = AUTO,
    labels: object | None = None,
    samples: int | None = None,
    seed: int = 0,
    allow_float: bool = False,
    signature: str = "",
    example_inputs: object | None = None,
    cache: Path | None = None,
    listener: Listener = silent,
) -> QuantizedModel:
    """Make a quantized `.tflite` of a trained network.

    Args:
        source: anything that `edgeq.importers.load` reads, or a Model.
        representative_data: typical inputs, prepared as for training; see `edgeq.quantize.data.load_data`. Schemes
            with float activations do without; the result is not compared with the float model then.
        scheme: how many bits, and whether integers: a name in `edgeq.quantize.schemes.SCHEMES`.
        per_layer: other schemes for single operators; see `edgeq.quantize.ptq.quantize`.
        io: type of the model's inputs and outputs; the scheme's own unless told.
        target: refuse schemes that it can't run.
        calibration: how activation ranges are chosen: a name in `edgeq.registry.CALIBRATIONS`, or "auto", which tries
            them all (a few, of models with more than 32 MB of float weights), or "all", which does so at any size.
        repair: what is done to the float model first: names in `edgeq.registry.REPAIRS`, in order (or one string with
            commas), "none", "auto", which keeps what helps (above 32 MB only cheap ones are tried), or "all".
        labels: class per sample, for the accuracy in the report.
        samples: calibrate with so many at most (500 unless told).
        seed: of the random split into calibration and held-back samples.
        allow_float: accept operators that stay in float; they are in the report then.
        signature, example_inputs, cache: see `edgeq.importers.ImportOptions`; cache is where isolated environments are.

    Raises:
        UsageError: an unknown scheme, method, signature or io, or no representative data where it is needed.
        ModelFileError, DataError: the model or the data can't be read or don't fit each other.
        UnsupportedError: quantized already, with operators that have no integer form, or a scheme that the target
            can't run.
        MissingDependencyError: what the conversion needs is not installed.
    """
    bits = scheme_named(scheme)
    ends = end_type(bits, io)
    _check_choices(representative_data, bits, calibration, samples)
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)
        listener(event)

    clock = _Clock()
    with clock.stage("import"):
        told = ImportOptions(signature, example_inputs, cache)
        model = source if isinstance(source, Model) else importers.load(source, note, told)
        runtimes = () if target is None else require_runnable(model, bits, target)
    wishes = Wishes(bits, by_name(model.graph, per_layer), ends, calibration, repairs_named(repair))
    found: tuple[Suspicion, ...] = ()
    data, parts = None, None
    with clock.stage("data"):
        if representative_data is not None:
            data = load_data(representative_data, model, labels=labels)
            parts = split(len(data), seed, samples, judging=wishes.judging)
            found = screen(data)
            for text in (*data.notices, *(s.text for s in found)):
                note(Notice(text, "data"))
            _note_split(parts, data, note)
    with clock.stage("quantize"):
        chosen = choose(model, *_parts(data, parts, bits, found), wishes, note)
        leftovers = float_leftovers(chosen.graph) if bits.is_static else ()
        if leftovers and not allow_float:
            raise _not_integer(model, chosen.graph, leftovers)
    evaluation = None
    if data is not None and parts is not None:
        with clock.stage("evaluate"):
            held_back = data.subset(parts.held_back)
            evaluation = evaluate(model, chosen.data, chosen.graph, held_back, held_back=parts.disjoint, listener=note)
    report = ConversionReport(
        source=model.source,
        kind=model.kind,
        scheme=bits.name,
        chosen=chosen.chosen,
        plain=chosen.plain,
        candidates=chosen.candidates,
        asked=(calibration, ",".join(wishes.repairs) or NONE if wishes.repairs is not None else AUTO),
        suspicions=found,
        io=ends,
        runtimes=runtimes,
        seed=seed,
        calibration_samples=len(parts.calibration) if bits.is_static and parts is not None else 0,
        judging_samples=len(parts.judging) if parts is not None else 0,
        float_bytes=len(model.tflite),
        quantized_bytes=len(chosen.data),
        float_weights_bytes=_constant_bytes(model.graph),
        quantized_weights_bytes=_constant_bytes(chosen.graph),
        evaluation=evaluation,
        leftovers=leftovers,
        seconds=clock.seconds(),
        notices=tuple(notices),
        verification=model.verification,
    )
    return QuantizedModel(chosen.data, chosen.graph, report)


def repairs_named(repair: str | Sequence[str]) -> tuple[str, ...] | None:
    """The repairs asked for; None for "auto", () for "none", ("all",) for "all".

    Raises:
        UsageError: no such repair.
    """
    names = tuple(n.strip() for n in repair.split(",")) if isinstance(repair, str) else tuple(repair)
    if names == (AUTO,):
        return None
    if names == (NONE,):
        return ()
    if names == (ALL,):
        return names
    for name in names:
        if name not in registry.REPAIRS:
            known = ", ".join((AUTO, ALL, NONE, *registry.REPAIRS))
            raise UsageError(f"there is no repair '{name}'", next_step=f"choose of: {known}", name=name)
    return names


def _parts(
    data: Dataset | None, parts: Split | None, scheme: Scheme, found: tuple[Suspicion, ...]
) -> tuple[Dataset | None, Dataset | None, Dataset | None]:
    """The samples that calibrate, that repairs learn from, and that judge; those of a wrong scale only calibrate."""
    if data is None or parts is None:
        return None, None, None
    odd = odd_samples(found)

    def without(places: tuple[int, ...]) -> Dataset | None:
        kept = [i for i in places if data.numbers[i] not in odd]
        return data.subset(kept or places) if places else None

    return data.subset(parts.calibration), without(parts.calibration), without(parts.judging)


def _check_choices(data: Source | None, scheme: Scheme, calibration: str, samples: int | None) -> None:
    if data is None and scheme.is_static:
        raise UsageError(
            "conversion to integers needs representative data",
            next_step="--representative-data calib.npz with 25 to 50 typical inputs or more",
        )
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} samples can't calibrate anything", next_step="give 1 or more")
    registry.require(QUANTIZER, "conversion")
    if calibration not in (AUTO, ALL):
        registry.load(registry.CALIBRATIONS, calibration, "calibration method")


def _note_split(parts: Split, data: Dataset, note: Listener) -> None:
    if not parts.disjoint:
        note(
            Notice(
                f"only {len(data)} samples: none held back (that takes {MIN_TO_SPLIT}), so the figures come from "
                "the samples that were calibrated with, and flatter",
                "data",
            )
        )
    unused = len(data) - len({*parts.calibration, *parts.judging, *parts.held_back})
    if unused:
        note(
            Notice(
                f"{len(parts.calibration)} of {len(data)} samples calibrate, {len(parts.judging)} judge, "
                f"{len(parts.held_back)} are held back for the report; {unused} are not needed",
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
