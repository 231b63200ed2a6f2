"""Mixed precision: the bits of each layer, chosen for a bound on a target, and proved by converting with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from edgeq import importers, registry, tflite
from edgeq.check import check
from edgeq.check.estimate import Estimate
from edgeq.errors import NegativeResult, UsageError
from edgeq.events import Listener, Notice, Progress, silent
from edgeq.graph import Graph
from edgeq.importers import ImportOptions, Model
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.choose import AUTO, ROUNDINGS, Choice, Wishes, choose
from edgeq.quantize.conversion import repairs_named
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.evaluate import compare
from edgeq.quantize.mixed.costs import Costed, CyclesOf, measure_units
from edgeq.quantize.mixed.products import SCHEMES, SHORT, DropKind, Goal, LayerBits, MixedReport, Point
from edgeq.quantize.mixed.search import BITS_8, WEIGHTS_4, Found, Total, Unit, relative_cost, search, total
from edgeq.quantize.products import Evaluation
from edgeq.quantize.ptq import end_type, quantize
from edgeq.quantize.recipes import by_name
from edgeq.quantize.repairs import Repair, Setting
from edgeq.quantize.schemes import DEFAULT, EndType
from edgeq.quantize.screening import odd_samples, screen
from edgeq.quantize.split import split
from edgeq.target import Target
from edgeq.target.schema import OWN_ENGINE
from edgeq.units import cycles_to_ms

_SEARCH_SAMPLES = 500
_MOST_TRIES = 14
_CORRECTION = "bias-correction"
_TOLERATED = 1.1
"""Times the cost of 8 bits everywhere that an unbounded cost may reach, where a bounded one can be kept so."""
Assignment = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MixedModel:
    """The `.tflite`, what it is as a Graph, and how its bits were chosen."""

    tflite: bytes
    graph: Graph
    report: MixedReport


def convert_mixed(
    source: object,
    *,
    target: Target,
    goal: Goal,
    representative_data: Source,
    labels: object | None = None,
    io: EndType | None = None,
    calibration: str = AUTO,
    repair: str | Sequence[str] = AUTO,
    samples: int | None = None,
    seed: int = 0,
    options: ImportOptions = ImportOptions(),  # noqa: B008 - frozen
    cycles_of: CyclesOf | None = None,
    listener: Listener = silent,
) -> MixedModel:
    """Make a `.tflite` in which each layer has 4-bit weights, 8 bits, or 16-bit activations.

    With a bound on the drop the cheapest that keeps it is looked for; with bounds on costs alone the most accurate.
    What isn't bounded then may not cost more than with 8 bits everywhere, where that can be.

    Args:
        calibration, repair: as in `edgeq.quantize.convert`, decided for 8 bits everywhere. Repairs that round weights
            to their 8-bit values (AdaRound) are left out, as weights get fewer bits here; biases are corrected anew for
            each assignment with 4-bit weights.
        options: for the import.
        cycles_of: counts cycles on a virtual board, for kernels whose costs aren't estimated.

    Raises:
        UsageError: no bound; or a latency in milliseconds where only relative cycles are known.
        NegativeResult: no assignment that was tried keeps the bounds; the message names the nearest.
        UnsupportedError: the target can't run the network with 8 bits.
    """
    if goal == Goal():
        raise UsageError("mixed precision needs a bound", next_step="give --max-drop, --max-latency or --max-flash")
    model = source if isinstance(source, Model) else importers.load(source, listener, options)
    data = load_data(representative_data, model, labels=labels)
    parts = split(len(data), seed, samples)
    suspicions = screen(data)
    for text in (*data.notices, *(s.text for s in suspicions)):
        listener(Notice(text, "data"))
    odd = odd_samples(suspicions)
    usable = data.subset([i for i in parts.calibration if data.numbers[i] not in odd] or parts.calibration)
    held_back = data.subset(parts.held_back)
    wishes = Wishes(DEFAULT, {}, end_type(DEFAULT, io), calibration, repairs_named(repair))
    base = _base(model, data.subset(parts.calibration), usable, data.subset(parts.judging), wishes, listener)
    costed = measure_units(base.model, base.ranges, usable, target, cycles_of, listener)
    if goal.max_latency_ms is not None and costed.source == "assumed":
        raise UsageError(
            f"latency on {target.name} is neither estimated nor can it be simulated here, so it can't be bounded",
            next_step="install edgeq[simulate], or give --max-drop or --max-flash",
        )
    every = [i for i in sorted({*parts.calibration, *parts.judging}) if data.numbers[i] not in odd]
    search_data = data.subset(every[:_SEARCH_SAMPLES] or parts.calibration)
    corrects = wishes.seeks_repairs or _CORRECTION in (wishes.repairs or ())
    bench = _Bench(
        model, base, usable if corrects else None, target, goal, costed, search_data, io, cycles_of, listener
    )
    made = bench.run()
    outputs = _outputs(model, held_back)
    evaluation = compare(model, outputs, made.data, made.graph, held_back, held_back=parts.disjoint, listener=listener)
    return MixedModel(made.data, made.graph, bench.report(made, evaluation))


def _base(
    model: Model, calibration: Dataset, learning: Dataset, judging: Dataset, wishes: Wishes, listener: Listener
) -> Choice:
    """The float model with what helps whatever the bits are, and its ranges."""
    found = choose(model, calibration, learning, judging, wishes, listener)
    kept = tuple(name for name in found.chosen.repairs if name not in ROUNDINGS)
    if kept == found.chosen.repairs:
        return found
    again = replace(wishes, repairs=kept, calibration=found.chosen.calibration)
    return choose(model, calibration, learning, judging, again, listener)


def _outputs(model: Model, data: Dataset) -> list[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    runner = FloatRunner(model)
    return [[np.array(o, np.float32) for o in runner.run(data.sample(i))] for i in range(len(data))]


@dataclass(frozen=True, eq=False)
class _Made:
    """An assignment, converted and run.

    Attributes:
        flash_bytes, latency_ms: of the firmware, by `edgeq check` and as it was counted; latency None where it wasn't.
        kept: whether it keeps all bounds, by what was found and not by what was predicted.
        problem: which it doesn't.
    """

    assignment: Assignment
    data: bytes
    graph: Graph
    drop: float
    flash_bytes: int
    latency_ms: float | None
    kept: bool
    problem: str


@dataclass(eq=False)
class _Bench:
    """The search with what it has tried so far; it belongs to one call of `convert_mixed`."""

    model: Model
    base: Choice
    learning: Dataset | None
    target: Target
    goal: Goal
    costed: Costed
    data: Dataset
    io: EndType | None
    cycles_of: CyclesOf | None
    listener: Listener
    tried: dict[Assignment, _Made] = field(default_factory=dict)
    memo: dict[str, object] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expected = _outputs(self.model, self.data)
        self.found: Found = search(self.costed.units)
        self.eight = total(self.costed.units, self._all_eight)
        self.drop_kind: DropKind = "relative error"

    @property
    def _all_eight(self) -> Assignment:
        return (BITS_8,) * len(self.costed.units)

    def run(self) -> _Made:
        """The answer.

        Raises:
            NegativeResult: nothing that was tried keeps the bounds.
        """
        self._try(self._all_eight)
        candidates = self._within_predicted_costs()
        answer = self._cheapest(candidates) if self.goal.max_drop is not None else self._most_accurate(candidates)
        if answer is None:
            raise self._none()
        return answer

    def _within_predicted_costs(self) -> list[Assignment]:
        """Candidates, cheapest first. With costs bounded alone, an unbounded one is held near that of 8 bits."""
        goal, eight = self.goal, self.eight
        flash = cycles = float("inf")
        if goal.max_flash_bytes is not None:
            flash = goal.max_flash_bytes - self.costed.firmware_flash - self.costed.other_flash
        if goal.max_latency_ms is not None:
            cycles = goal.max_latency_ms / 1000 * self.target.clock_hz - self.costed.other_cycles
        bounded = self._among(flash, cycles)
        if goal.max_drop is not None:
            return bounded
        held = self._among(
            min(flash, _TOLERATED * eight.flash) if goal.max_flash_bytes is None else flash,
            min(cycles, _TOLERATED * eight.cycles) if goal.max_latency_ms is None else cycles,
        )
        return held or bounded

    def _among(self, flash: float, cycles: float) -> list[Assignment]:
        pairs = zip(self.found.assignments, self.found.totals, strict=True)
        return [a for a, t in pairs if t.flash <= flash and t.cycles <= cycles]

    def _cheapest(self, candidates: Sequence[Assignment]) -> _Made | None:
        """Bisection over the candidates that are better the dearer they are; then the nearest cheaper ones once more.

        Drops that aren't as predicted (they are noisy) make the result only nearly the cheapest, never a wrong one.
        """
        rising: list[Assignment] = []
        for assignment in candidates:
            if not rising or self._noise(assignment) < self._noise(rising[-1]):
                rising.append(assignment)
        low, high = 0, len(rising)
        while low < high and len(self.tried) < _MOST_TRIES:
            middle = (low + high) // 2
            if self._try(rising[middle]).kept:
                high = middle
            else:
                low = middle + 1
        for place in range(high - 1, max(-1, high - 3), -1):
            if len(self.tried) < _MOST_TRIES:
                self._try(rising[place])
        kept = [made for made in self.tried.values() if made.kept]
        return min(kept, key=lambda made: self._cost(made.assignment)) if kept else None

    def _most_accurate(self, candidates: Sequence[Assignment]) -> _Made | None:
        """By prediction the most accurate first, until one really keeps the bounds."""
        for assignment in sorted(candidates, key=lambda a: (self._noise(a), self._cost(a))):
            if len(self.tried) >= _MOST_TRIES:
                break
            if self._hopeless(assignment):
                continue
            made = self._try(assignment)
            if made.kept:
                return made
        kept = [made for made in self.tried.values() if made.kept]
        return min(kept, key=lambda made: made.drop) if kept else None

    def _hopeless(self, assignment: Assignment) -> bool:
        """Whether costs are beyond the bounds, if they are off as they were when kernels of the same kinds were tried.

        Kernels that only some options need bring code with them, and a QUANTIZE costs what its kernel costs.
        """
        alike = [made for made in self.tried.values() if set(made.assignment) == set(assignment)]
        found, goal = self._point(assignment, None), self.goal
        for made in alike:
            before = total(self.costed.units, made.assignment)
            flash = found.flash_bytes + made.flash_bytes - self._flash(before)
            if goal.max_flash_bytes is not None and flash > goal.max_flash_bytes:
                return True
            predicted, now = self._ms(before), self._ms(total(self.costed.units, assignment))
            if goal.max_latency_ms is None or made.latency_ms is None or not predicted or now is None:
                continue
            if now * made.latency_ms / predicted > goal.max_latency_ms:
                return True
        return False

    def _noise(self, assignment: Assignment) -> float:
        return total(self.costed.units, assignment).noise

    def _cost(self, assignment: Assignment) -> float:
        return relative_cost(total(self.costed.units, assignment), self.eight)

    def _try(self, assignment: Assignment) -> _Made:
        """Convert and run."""
        if assignment in self.tried:
            return self.tried[assignment]
        told = "".join(SHORT[o][0] for o in assignment)
        self.listener(Progress("mixed", len(self.tried), _MOST_TRIES, "assignments", told))
        model, layers = self._repaired(assignment), self._layers(assignment)
        data = quantize(model, self.base.ranges, self.io, scheme=DEFAULT, per_layer=layers)
        graph = tflite.parse(data, "", self.model.name)
        found = compare(self.model, self.expected, data, graph, self.data, held_back=False)
        self.drop_kind, drop = drop_of(found)
        flash, latency, fits = self._found_costs(assignment, data, graph)
        problem = self._problem(drop, flash, latency) if fits else f"it doesn't fit {self.target.name}"
        made = _Made(assignment, data, graph, drop, flash, latency, not problem, problem)
        self.tried[assignment] = made
        return made

    def _repaired(self, assignment: Assignment) -> Model:
        """The float model with its biases corrected for what rounding to so few bits does to the means."""
        if self.learning is None or WEIGHTS_4 not in assignment:
            return self.base.model
        repair = cast(Repair, registry.load(registry.REPAIRS, _CORRECTION, "repair"))
        layers = by_name(self.base.model.graph, self._layers(assignment))
        return repair.apply(self.base.model, Setting(self.learning, DEFAULT, layers, self.memo))

    def _layers(self, assignment: Assignment) -> dict[int | str, str]:
        return {
            op: SCHEMES[option]
            for option, group in zip(assignment, self.costed.ops, strict=True)
            if option != BITS_8
            for op in group
        }

    def _found_costs(self, assignment: Assignment, data: bytes, graph: Graph) -> tuple[int, float | None, bool]:
        """(bytes of flash, milliseconds where they are known, whether it fits) of a converted model."""
        if OWN_ENGINE not in self.target.board.runtimes:
            return self._flash(total(self.costed.units, assignment)), None, True
        report = check(graph, self.target)
        latency = None
        if self.costed.source == "estimated" and isinstance(report.latency, Estimate):
            latency = report.latency.ms
        elif self.goal.max_latency_ms is not None and self.cycles_of is not None:
            latency = cycles_to_ms(sum(self.cycles_of(data, graph).values()), self.target.clock_hz)
        return report.flash.used_bytes, latency, report.fits

    def _problem(self, drop: float, flash: int, latency: float | None) -> str:
        """Which bound is exceeded, "" when none is."""
        goal = self.goal
        if goal.max_drop is not None and drop > goal.max_drop + 1e-12:
            return f"its {self.drop_kind} is {drop:.4f}, {goal.max_drop:.4f} are allowed"
        if goal.max_flash_bytes is not None and flash > goal.max_flash_bytes:
            return f"it takes {flash:,} bytes of flash, {goal.max_flash_bytes:,} are allowed"
        if goal.max_latency_ms is not None and latency is not None and latency > goal.max_latency_ms:
            return f"it takes {latency:.3f} ms, {goal.max_latency_ms:g} are allowed"
        return ""

    def _none(self) -> NegativeResult:
        def distance(made: _Made) -> float:
            if self.goal.max_drop is not None:
                return made.drop
            return made.flash_bytes if self.goal.max_flash_bytes is not None else made.latency_ms or 0.0

        nearest = min(self.tried.values(), key=distance)
        return NegativeResult(
            f"none of {len(self.tried)} assignments that were tried keeps the bounds; the nearest: {nearest.problem}",
            where=self.model.source or self.model.name,
            next_step="allow more, or see with `edgeq analyze` what loses the accuracy",
            tried=len(self.tried),
            problem=nearest.problem,
        )

    def report(self, answer: _Made, evaluation: Evaluation) -> MixedReport:
        """All of it, for people and programs."""
        graph, units = self.base.model.graph, self.costed.units
        assignments = dict.fromkeys([*self.found.assignments, *self.tried])
        points = [self._point(assignment, answer) for assignment in assignments]
        points.sort(key=lambda point: (point.cost, point.predicted_noise))
        worth = [p for p in points if p.drop is not None or p.bits in {_bits(a) for a in self.found.assignments}]
        layers = tuple(
            LayerBits(
                op=group[0],
                label=graph.label(graph.ops[group[0]]),
                bits=SHORT[option],
                flash_bytes=tuple(None if np.isinf(v) else int(v) for v in unit.flash),
                cycles=tuple(None if np.isinf(v) else v for v in unit.cycles),
                noise=tuple(None if np.isinf(f) else n for f, n in zip(unit.flash, _noises(unit), strict=True)),
            )
            for group, unit, option in zip(self.costed.ops, units, answer.assignment, strict=True)
        )
        self._miss(evaluation)
        return MixedReport(
            target=self.target.name,
            goal=self.goal,
            drop_kind=self.drop_kind,
            repairs=self.base.chosen.repairs,
            calibration=self.base.chosen.calibration,
            layers=layers,
            front=tuple(worth),
            eight=self._point(self._all_eight, answer),
            tried=len(self.tried),
            search_samples=len(self.data),
            costs=self.costed.source,
            optimality=self._optimality(),
            evaluation=evaluation,
            notices=tuple(self.notices),
        )

    def _miss(self, evaluation: Evaluation) -> None:
        kind, drop = drop_of(evaluation)
        if self.goal.max_drop is not None and drop > self.goal.max_drop:
            text = f"on the {evaluation.samples} samples held back its {kind} is {drop:.4f}, more than allowed: " + (
                "the difference to the samples of the search is chance, or there are too few"
            )
            self.notices.append(text)
            self.listener(Notice(text, "mixed"))

    def _point(self, assignment: Assignment, answer: _Made | None) -> Point:
        found = total(self.costed.units, assignment)
        made = self.tried.get(assignment)
        return Point(
            bits=_bits(assignment),
            flash_bytes=self._flash(found) if made is None else made.flash_bytes,
            latency_ms=self._ms(found) if made is None or made.latency_ms is None else made.latency_ms,
            cost=relative_cost(found, self.eight),
            predicted_noise=found.noise,
            drop=None if made is None else made.drop,
            chosen=answer is not None and assignment == answer.assignment,
        )

    def _flash(self, found: Total) -> int:
        return int(found.flash + self.costed.other_flash + self.costed.firmware_flash)

    def _ms(self, found: Total) -> float | None:
        if self.costed.source == "assumed":
            return None
        return cycles_to_ms(found.cycles + self.costed.other_cycles, self.target.clock_hz)

    def _optimality(self) -> str:
        exact = "exact for this chain of layers" if self.found.exact else "approximate where layers branch or are many"
        return (
            f"by predicted error and costs: dynamic programming, {exact}, for five mixes of flash and cycles; "
            f"{len(self.tried)} of {len(self.found.assignments)} candidates were converted and run, so a cheaper "
            "one isn't excluded for certain"
        )


def drop_of(evaluation: Evaluation) -> tuple[DropKind, float]:
    """What was lost against float: in accuracy where there are labels, else see `Goal.max_drop`."""
    if evaluation.accuracy is not None:
        return "accuracy", evaluation.accuracy.float_model - evaluation.accuracy.quantized_model
    if evaluation.top1_agreement is not None:
        return "disagreement", 1.0 - evaluation.top1_agreement
    worst = [o.sqnr_db for o in evaluation.outputs if o.sqnr_db is not None]
    return "relative error", max((10 ** (-db / 20) for db in worst), default=0.0)


def _bits(assignment: Assignment) -> tuple[str, ...]:
    return tuple(SHORT[option] for option in assignment)


def _noises(unit: Unit) -> tuple[float, ...]:
    wide = (unit.output_noise[0], unit.output_noise[0], unit.output_noise[1])
    return tuple(weights + output for weights, output in zip(unit.weight_noise, wide, strict=True))
