"""Which repairs and which calibration: tried on the user's network and data, and kept for what they bring.

Everything is decided by `edgeq.quantize.judge` on samples that took no part in calibration. What clips values must
bring more than what doesn't: values that calibration never saw are not clipped for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

from edgeq import registry, tflite
from edgeq.events import Listener, Notice, Progress, silent
from edgeq.graph import Graph
from edgeq.importers import Model
from edgeq.kernels.macs import total_macs
from edgeq.quantize.calibration import collect
from edgeq.quantize.candidates import Candidate, better
from edgeq.quantize.data import Dataset
from edgeq.quantize.judge import Judge
from edgeq.quantize.methods import Method, Range
from edgeq.quantize.ptq import quantize
from edgeq.quantize.repairs import Repair, Setting
from edgeq.quantize.repairs.network import chunks, layers
from edgeq.quantize.schemes import EndType, Scheme
from edgeq.quantize.statistics import Statistics

AUTO, ALL, NONE = "auto", "all", "none"
EQUALIZATIONS = ("cle", "activation-equalization")
ROUNDINGS = ("bias-correction", "adaround")
FOLDING = "batch-norm"

_SAFE = "min-max"
_ROBUST = "sample-percentile"
_CHEAP_CALIBRATIONS = (_SAFE, _ROBUST, "percentile")
_CLIPPING_GAIN_DB = 0.5
_CLIPPING_GAIN_OF_RECONSTRUCTIONS_DB = 3.0
"""An output as long as the input is compared with it, to find what is unlike all that calibration saw."""
_ENOUGH_DB = 40.0
"""Outputs within 1 % of the float model's: more can't be told from them."""
_MACS = 2e10
"""Of calibration and of judging each: half a minute at most on a slow computer."""
_LARGE_BYTES = 32 << 20
"""Of float weights: above, each candidate takes seconds to make, and its repairs minutes. A size rather than a time, so
that the same model gives the same file on every computer."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Attributes:
        calibration: a name in `edgeq.registry.CALIBRATIONS`, "auto", or "all", which is "auto" for models of any size.
        repairs: names in `edgeq.registry.REPAIRS`, in the order to apply; None for "auto", ("all",) likewise.
    """

    scheme: Scheme
    layers: Mapping[str, Scheme]
    io: EndType
    calibration: str = AUTO
    repairs: tuple[str, ...] | None = None

    @property
    def judging(self) -> bool:
        """Whether anything is left to decide."""
        return self.seeks_repairs or self.seeks_calibration

    @property
    def seeks_repairs(self) -> bool:
        """Whether repairs are tried."""
        return self.repairs in (None, (ALL,))

    @property
    def seeks_calibration(self) -> bool:
        """Whether methods of calibration are tried."""
        return self.calibration in (AUTO, ALL) and self.scheme.is_static


@dataclass(frozen=True)
class Extent:
    """What is tried of what is left to decide, by name.

    Attributes:
        left_out: words for the user where a large model is tried with less; "" elsewhere.
    """

    calibrations: tuple[str, ...]
    equalizations: tuple[str, ...]
    roundings: tuple[str, ...]
    left_out: str = ""


def extent(graph: Graph, wishes: Wishes) -> Extent:
    """Everything for models of up to 32 MB of float weights; what is cheap above, where "auto" was asked for."""
    weights = sum(tensor.size_bytes for tensor in graph.tensors if tensor.is_constant)
    whole = Extent(tuple(registry.CALIBRATIONS), EQUALIZATIONS, ROUNDINGS)
    fewer_repairs = wishes.repairs is None
    fewer_calibrations = wishes.seeks_calibration and wishes.calibration == AUTO
    if weights <= _LARGE_BYTES or not (fewer_repairs or fewer_calibrations):
        return whole
    cheap = Extent(
        _CHEAP_CALIBRATIONS if fewer_calibrations else whole.calibrations,
        EQUALIZATIONS[:1] if fewer_repairs else whole.equalizations,
        () if fewer_repairs else whole.roundings,
    )
    tried = [*(cheap.calibrations if fewer_calibrations else ())]
    tried += [FOLDING, *cheap.equalizations] if fewer_repairs else []
    options = ["--calibration all"] * fewer_calibrations + ["--repair all"] * fewer_repairs
    told = (
        f"{weights / 2**20:.0f} MB of float weights: of what could be tried, only {', '.join(tried)} is, as more takes "
        f"long and much memory; to try everything: {' '.join(options)}"
    )
    return replace(cheap, left_out=told)


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen.

    Attributes:
        model: the repaired float model.
        ranges: of its activations.
        data: the quantized `.tflite`, `graph` what is in it.
        chosen: one of `candidates`, which are in the order tried.
        plain: the candidate without repairs and with min-max; None where nothing was judged.
    """

    model: Model
    ranges: Mapping[int, Range]
    data: bytes
    graph: Graph
    chosen: Candidate
    plain: Candidate | None
    candidates: tuple[Candidate, ...]


def choose(
    model: Model,
    calibration: Dataset | None,
    learning: Dataset | None,
    judging: Dataset | None,
    wishes: Wishes,
    listener: Listener = silent,
) -> Choice:
    """Quantize a model as wished, or as it turns out best.

    Args:
        calibration: ranges come from these samples; None for schemes that need none.
        learning: repairs look at these.
        judging: candidates are compared on these; whatever is "auto" stays undecided, and as it is, without.

    Raises:
        UsageError: no such repair or method, or a repair without the data that it needs.
        DataError, UnsupportedError: as `collect` and `quantize` raise them.
    """
    return _Search(model, calibration, learning, judging, wishes, listener).run()


@dataclass(frozen=True, eq=False)
class _Made:
    """A candidate with what it is made of."""

    candidate: Candidate
    model: Model
    ranges: Mapping[int, Range]
    data: bytes
    graph: Graph


@dataclass(eq=False)
class _Search:
    model: Model
    calibration: Dataset | None
    learning: Dataset | None
    judging: Dataset | None
    wishes: Wishes
    listener: Listener
    tried: list[Candidate] = field(default_factory=list)
    judge: Judge | None = None
    made: list[_Made] = field(default_factory=list)
    collected: dict[str, Statistics] = field(default_factory=dict)
    memo: dict[str, object] = field(default_factory=dict)

    def run(self) -> Choice:
        most = max(int(_MACS / max(total_macs(self.model.graph), 1)), 8)
        self.calibration, self.judging = _at_most(self.calibration, most), _at_most(self.judging, most // 4)
        if self.judging is not None and self.wishes.judging:
            self.judge = Judge(self.model, self.judging)
        plain = None if self.judge is None else self._make((), self.model, self._method(_SAFE))
        wished = None if self.wishes.seeks_repairs else self.wishes.repairs
        repaired = self._repaired((), self.model, (FOLDING,) if wished is None else wished)
        if plain is not None and repaired[1] is self.model and _nothing_to_gain(plain.candidate):
            best = plain
        elif wished is None:
            self._tell_left_out()
            best = self._rounded(self._calibrated(self._equalized(repaired)))
        else:
            self._tell_left_out()
            best = self._calibrated(self._start(repaired))
        kept = replace(best.candidate, kept=True)
        candidates = tuple(kept if c is best.candidate else c for c in self.tried)
        told = None if plain is None else kept if plain is best else plain.candidate
        return Choice(best.model, best.ranges, best.data, best.graph, kept, told, candidates)

    @cached_property
    def extent(self) -> Extent:
        return extent(self.model.graph, self.wishes)

    def _tell_left_out(self) -> None:
        if self.judge is not None and self.extent.left_out:
            self.listener(Notice(self.extent.left_out, "choose"))

    @property
    def setting(self) -> Setting:
        return Setting(self.learning, self.wishes.scheme, self.wishes.layers, self.memo)

    def _repaired(self, before: tuple[str, ...], model: Model, names: tuple[str, ...]) -> tuple[tuple[str, ...], Model]:
        """The names of the repairs that changed anything, and what they made."""
        applied = before
        for name in names:
            repair = cast(Repair, registry.load(registry.REPAIRS, name, "repair"))
            repaired = repair.apply(model, self.setting)
            if repaired is not model:
                applied, model = (*applied, name), repaired
        return applied, model

    def _start(self, repaired: tuple[tuple[str, ...], Model]) -> _Made:
        return self._make(*repaired, self._method(_ROBUST))

    def _method(self, otherwise: str) -> str:
        """The method asked for, or this."""
        if not self.wishes.scheme.is_static:
            return ""
        return otherwise if self.wishes.seeks_calibration else self.wishes.calibration

    def _equalized(self, repaired: tuple[tuple[str, ...], Model]) -> _Made:
        """The best of no equalization and each."""
        champion = self._start(repaired)
        if self.judge is None:
            return champion
        before, start = champion.candidate.repairs, champion.model
        variants = [repaired, *(self._repaired(before, start, (name,)) for name in self.extent.equalizations)]
        variants = [variant for i, variant in enumerate(variants) if i == 0 or variant[1] is not start]
        if 4 in self._bits(start) and ROUNDINGS[-1] in self.extent.roundings:
            # So few bits have to be rounded well before it shows which channels are too narrow.
            variants = [self._repaired(*variant, (ROUNDINGS[-1],)) for variant in variants]
        for names, model in variants:
            if model is not start:
                champion = self._contest(champion, self._make(names, model, self._method(_ROBUST)))
        return champion

    def _calibrated(self, best: _Made) -> _Made:
        """The best method for these activations."""
        if not self.wishes.seeks_calibration or self.judge is None:
            return best
        scored = {_ROBUST: best}
        for name in self.extent.calibrations:
            if name not in scored:
                method = cast(Method, registry.load(registry.CALIBRATIONS, name, "calibration method"))
                scored[name] = self._make(
                    best.candidate.repairs, best.model, name, method.ranges(self._statistics(best.model))
                )
        champion = scored.pop(_SAFE)
        least = _CLIPPING_GAIN_OF_RECONSTRUCTIONS_DB if _reconstructs(self.model.graph) else _CLIPPING_GAIN_DB
        challengers = sorted(scored.values(), key=lambda made: -_mean_db(made))
        for challenger in challengers[:1]:
            champion = self._contest(champion, challenger, least)
        return champion

    def _rounded(self, best: _Made) -> _Made:
        """With weights rounded, or biases corrected, as the layers' outputs want it."""
        champion = best
        rounded = set(ROUNDINGS) & {*best.candidate.repairs}
        if self.judge is None or self.learning is None or rounded or not self._bits(best.model) & {4, 8}:
            return champion
        for name in self.extent.roundings:
            names, model = self._repaired(best.candidate.repairs, best.model, (name,))
            if model is not best.model:
                made = self._make(names, model, best.candidate.calibration, best.ranges)
                champion = self._contest(champion, made)
        return champion

    def _bits(self, model: Model) -> set[int]:
        return {self.setting.weight_bits(model.graph, layer.op) for layer in layers(model.graph)}

    def _make(
        self, repairs: tuple[str, ...], model: Model, method: str, ranges: Mapping[int, Range] | None = None
    ) -> _Made:
        for made in self.made:
            if (made.candidate.repairs, made.candidate.calibration) == (repairs, method) and made.model is model:
                return made
        if ranges is None:
            ranges = {}
            if method:
                chosen = cast(Method, registry.load(registry.CALIBRATIONS, method, "calibration method"))
                ranges = chosen.ranges(self._statistics(model))
        wishes = self.wishes
        data = quantize(model, ranges, wishes.io, scheme=wishes.scheme, per_layer=dict(wishes.layers))
        graph = tflite.parse(data, "", model.name)
        score = None if self.judge is None else self.judge.score(data, graph)
        candidate = Candidate(repairs, method, score)
        self.tried.append(candidate)
        self.listener(Progress("choose", len(self.tried), None, "candidates", _described(candidate)))
        made = _Made(candidate, model, ranges, data, graph)
        self.made.append(made)
        return made

    def _statistics(self, model: Model) -> Statistics:
        key = model.graph.sha256
        if key not in self.collected:
            self.collected[key] = collect(model, cast(Dataset, self.calibration), self.listener)
        return self.collected[key]

    def _contest(self, champion: _Made, challenger: _Made, least_db: float = 0.0) -> _Made:
        """The challenger where it is better beyond noise, and by `least_db` at least."""
        held, new = champion.candidate.score, challenger.candidate.score
        assert held is not None and new is not None
        gain = new.mean_db - held.mean_db
        told = replace(challenger.candidate, gain_db=gain)
        self.tried[next(i for i, c in enumerate(self.tried) if c is challenger.candidate)] = told
        wins = better(new, held) and (gain >= least_db or (new.accuracy or 0.0) > (held.accuracy or 0.0))
        return replace(challenger, candidate=told) if wins else champion


def _at_most(data: Dataset | None, most: int) -> Dataset | None:
    if data is None or len(data) <= most:
        return data
    return data.subset(list(chunks(len(data), max(most, 8))))


def _mean_db(made: _Made) -> float:
    return -1e9 if made.candidate.score is None else made.candidate.score.mean_db


def _nothing_to_gain(candidate: Candidate) -> bool:
    score = candidate.score
    return score is not None and score.mean_db >= _ENOUGH_DB and score.agreement in (None, 1.0)


def _reconstructs(graph: Graph) -> bool:
    sizes = {graph.tensors[i].elements for i in graph.inputs}
    return any(graph.tensors[i].elements in sizes for i in graph.outputs)


def _described(candidate: Candidate) -> str:
    return " + ".join([*candidate.repairs, *([candidate.calibration] if candidate.calibration else [])]) or "as it is"
