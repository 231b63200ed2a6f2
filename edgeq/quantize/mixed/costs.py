"""What each layer costs and loses with each option, from the network converted three times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from edgeq import runtimes, tflite
from edgeq.check import check
from edgeq.check.estimate import Estimate
from edgeq.errors import EdgeqError, UnsupportedError
from edgeq.events import Listener, Progress
from edgeq.graph import DType, Graph, Op
from edgeq.importers import Model
from edgeq.kernels.macs import macs
from edgeq.quantize.data import Dataset
from edgeq.quantize.methods import Range
from edgeq.quantize.mixed.products import SCHEMES, SHORT, CostSource
from edgeq.quantize.mixed.search import BITS_8, BITS_16, WEIGHTS_4, Unit
from edgeq.quantize.proof import float_leftovers
from edgeq.quantize.ptq import quantize
from edgeq.quantize.recipes import four_bit
from edgeq.quantize.schemes import SCHEMES as ALL_SCHEMES
from edgeq.quantize.sensitivity import LayerError, analyze
from edgeq.quantize.sensitivity.matching import VIEWS
from edgeq.target import Target
from edgeq.target.schema import OWN_ENGINE

CyclesOf = Callable[[bytes, Graph], Mapping[str, float]]
"""Cycles of each operator of a quantized model, by its output's name, as a virtual board counts them."""

_SAMPLES = 24
_ASSUMED = (1.0, 1.0, 2.0)
"""Cycles of each option beside 8 bits, where nothing is known."""
_CONVERSION_CYCLES = 12.0
"""Of a QUANTIZE per element, where nothing is known: the order of `edgeq_rescale_s8` on a Cortex-M4."""
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_INFINITE = float("inf")


@dataclass(frozen=True, eq=False)
class Costed:
    """The units of a network.

    Attributes:
        ops: for each unit the float operators that get its bits, the one with weights first.
        other_flash: bytes of constants that belong to no unit.
        other_cycles: of operators that belong to no unit.
        firmware_flash: what the firmware has beside the model's constants.
    """

    units: tuple[Unit, ...]
    ops: tuple[tuple[int, ...], ...]
    other_flash: float
    other_cycles: float
    firmware_flash: int
    source: CostSource


@dataclass(frozen=True, eq=False)
class _Trial:
    """The network in one scheme."""

    data: bytes
    graph: Graph
    refused: frozenset[str]
    flash: Mapping[str, float]
    estimated: Mapping[str, float] | None
    firmware_flash: int


def measure_units(
    model: Model,
    ranges: Mapping[int, Range],
    dataset: Dataset,
    target: Target,
    cycles_of: CyclesOf | None,
    listener: Listener,
) -> Costed:
    """Convert the network in each option, and ask the target and the analysis.

    Raises:
        UnsupportedError: the target can't run the network with 8 bits.
    """
    trials = [_trial(model, ranges, scheme, target) for scheme in SCHEMES]
    refused = trials[BITS_8].refused
    if refused:
        raise UnsupportedError(
            f"{target.name} can't run {len(refused)} operators with 8 bits: {', '.join(sorted(refused)[:3])}",
            where=model.source or model.name,
            next_step="`edgeq check` says why",
        )
    source, cycles = _cycles(model, trials, cycles_of, listener)
    errors = []
    for place, trial in enumerate(trials):
        listener(Progress("sensitivity", place, len(trials), "schemes", f"{SHORT[place]} bits"))
        found = analyze(model, trial.data, trial.graph, dataset, samples=_SAMPLES, listener=_progress_only(listener))
        errors.append({_output_name(trial.graph, layer): layer for layer in found.layers})
    listener(Progress("sensitivity", len(trials), len(trials), "schemes"))
    return _units(model, trials, cycles, errors, source)


def _progress_only(listener: Listener) -> Listener:
    """The analysis' notices are about one scheme in which nobody will use the network as a whole."""
    return lambda event: listener(event) if isinstance(event, Progress) else None


def _trial(model: Model, ranges: Mapping[int, Range], scheme: str, target: Target) -> _Trial:
    data = quantize(model, ranges, scheme=scheme)
    graph = tflite.parse(data, "", model.name)
    names = {op.index: graph.output_of(op).name for op in graph.ops}
    floats = {leftover.name for leftover in float_leftovers(graph) if leftover.kind not in VIEWS}
    if OWN_ENGINE not in target.board.runtimes:
        runtime = target.board.runtimes[0]
        refused = {verdict.name for verdict in runtimes.judge(graph, runtime).refused}
        stored = {n: float(_constant_bytes(graph, graph.ops[i])) for i, n in names.items()}
        return _Trial(data, graph, frozenset(refused | floats), stored, None, 0)
    report = check(graph, target)
    refused = {op.name for op in report.operators if not op.supported}
    flash = {op.name: float(op.weights_bytes + op.parameter_bytes) for op in report.operators}
    latency = report.latency
    estimated = None
    if isinstance(latency, Estimate):
        running = {op.index: op.name for op in report.operators}  # not the file's order, where another needs less RAM
        estimated = {running[layer.index]: layer.cycles for layer in latency.layers}
    rest = report.flash.used_bytes - int(sum(flash.values()))
    return _Trial(data, graph, frozenset(refused | floats), flash, estimated, rest)


def _cycles(
    model: Model, trials: list[_Trial], cycles_of: CyclesOf | None, listener: Listener
) -> tuple[CostSource, list[Mapping[str, float]]]:
    if all(trial.estimated is not None or trial.refused for trial in trials):
        return "estimated", [trial.estimated or {} for trial in trials]
    if cycles_of is not None:
        found: list[Mapping[str, float]] = []
        try:
            for place, trial in enumerate(trials):
                listener(Progress("costs", place, len(trials), "schemes", f"{SHORT[place]} bits"))
                found.append({} if trial.refused else cycles_of(trial.data, trial.graph))
        except EdgeqError:
            if not found:  # not even 8 bits can be simulated here
                return _assumed(model)
            found += [{}] * (len(trials) - len(found))
        listener(Progress("costs", len(trials), len(trials), "schemes"))
        if found[BITS_8]:
            return "simulated", found
    return _assumed(model)


def _assumed(model: Model) -> tuple[CostSource, list[Mapping[str, float]]]:
    graph = model.graph
    base = {graph.output_of(op).name: float(macs(graph, op) or graph.output_of(op).elements) for op in graph.ops}
    return "assumed", [{name: factor * count for name, count in base.items()} for factor in _ASSUMED]


def _units(
    model: Model,
    trials: list[_Trial],
    cycles: list[Mapping[str, float]],
    errors: list[dict[str, LayerError]],
    source: CostSource,
) -> Costed:
    graph = model.graph
    groups, owner = _groups(graph)
    units: list[Unit] = []
    for group in groups:
        head = graph.ops[group[0]]
        names = [graph.output_of(graph.ops[i]).name for i in group]
        possible = [
            not any(name in trial.refused for name in names) and bool(cycles[place])
            for place, trial in enumerate(trials)
        ]
        possible[WEIGHTS_4] = possible[WEIGHTS_4] and four_bit(head, ALL_SCHEMES[SCHEMES[WEIGHTS_4]])
        flash = [sum(trial.flash.get(name, 0.0) for name in names) for trial in trials]
        spent = [sum(each.get(name, 0.0) for name in names) for each in cycles]
        weights = [_noise(errors[place], names[:1], ("weights", "bias")) for place in range(3)]
        output = [_noise(errors[place], names, ("clipping", "rounding", "arithmetic")) for place in (BITS_8, BITS_16)]
        readers = {owner[i] for i in _readers(graph, group)} - {len(units)}
        units.append(
            Unit(
                flash=_three(flash, possible),
                cycles=_three(spent, possible),
                weight_noise=cast("tuple[float, float, float]", tuple(weights)),
                output_noise=(output[0], min(output)),
                readers=tuple(sorted(readers)),
                conversion=_conversion(graph, group[-1], cycles[BITS_8], source),
            )
        )
    taken = {graph.output_of(graph.ops[i]).name for group in groups for i in group}
    return Costed(
        tuple(units),
        tuple(groups),
        sum(count for name, count in trials[BITS_8].flash.items() if name not in taken),
        sum(count for name, count in cycles[BITS_8].items() if name not in taken),
        trials[BITS_8].firmware_flash,
        source,
    )


def _conversion(graph: Graph, op: int, cycles: Mapping[str, float], source: CostSource) -> float:
    elements = graph.output_of(graph.ops[op]).elements
    return float(elements) if source == "assumed" else _CONVERSION_CYCLES * elements


def _groups(graph: Graph) -> tuple[list[tuple[int, ...]], dict[int, int]]:
    """Operators with weights, each with those behind it that have none; a join goes with the last of its makers."""
    makers = {t: op.index for op in graph.ops for t in op.outputs}
    groups: list[list[int]] = []
    owner: dict[int, int] = {}
    for op in graph.ops:
        if op.kind in _WEIGHTED and _constant_weights(graph, op):
            owner[op.index] = len(groups)
            groups.append([op.index])
            continue
        behind = [owner[makers[t]] for t in op.inputs if t in makers and makers[t] in owner]
        if behind:
            owner[op.index] = max(behind)
            groups[max(behind)].append(op.index)
    return [tuple(group) for group in groups], owner


def _constant_weights(graph: Graph, op: Op) -> bool:
    weights = graph.input_of(op, 1)
    return weights is not None and weights.is_constant and weights.dtype is DType.FLOAT32


def _readers(graph: Graph, group: tuple[int, ...]) -> set[int]:
    made = {t for i in group for t in graph.ops[i].outputs}
    return {op.index for op in graph.ops if op.index not in group and made & set(op.inputs)}


def _noise(errors: Mapping[str, LayerError], names: list[str], components: tuple[str, ...]) -> float:
    found = 0.0
    for name in names:
        layer = errors.get(name)
        if layer is not None:
            found += layer.alone_noise * sum(share for kind, share in layer.shares.items() if kind in components)
    return found


def _three(values: list[float], possible: list[bool]) -> tuple[float, float, float]:
    found = [value if can else _INFINITE for value, can in zip(values, possible, strict=True)]
    return (found[0], found[1], found[2])


def _output_name(graph: Graph, layer: LayerError) -> str:
    return "" if layer.op < 0 else graph.output_of(graph.ops[layer.op]).name


def _constant_bytes(graph: Graph, op: Op) -> int:
    return sum(graph.tensors[t].size_bytes for t in op.inputs if t >= 0 and graph.tensors[t].is_constant)
