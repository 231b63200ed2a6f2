"""Which schemes a target can run, asked of its runtimes' operator tables with the model's own operators."""

from __future__ import annotations

from collections.abc import Mapping

from edgeq import runtimes, tflite
from edgeq.errors import UnsupportedError
from edgeq.graph import DType, Graph
from edgeq.importers import Model
from edgeq.kernels import choose
from edgeq.quantize.methods import Range
from edgeq.quantize.ptq import quantize
from edgeq.quantize.schemes import SCHEMES, Scheme, scheme_named
from edgeq.target import Target
from edgeq.target.schema import OWN_ENGINE

Runners = Mapping[str, tuple[str, ...]]
"""For each scheme, the runtimes of a target that run it."""


def runners(model: Model, target: Target) -> Runners:
    """For each scheme the target's runtimes that run it; () where there is none.

    The model is quantized in each scheme, with made-up ranges, and judged operator by operator. An operator that a
    runtime takes in no scheme at all says nothing about schemes, and is left to `edgeq check`.

    Raises:
        UnsupportedError, MissingDependencyError: see `quantize`.
    """
    trials = {name: _trial(model, scheme) for name, scheme in SCHEMES.items()}
    found: dict[str, list[str]] = {name: [] for name in SCHEMES}
    for runtime in target.board.runtimes:
        refused = {name: _refused(graph, runtime, target) for name, graph in trials.items()}
        always = frozenset.intersection(*refused.values())
        for name in SCHEMES:
            if refused[name] == always:
                found[name].append(runtime)
    return {name: tuple(by) for name, by in found.items()}


def require_runnable(model: Model, scheme: str | Scheme, target: Target) -> tuple[str, ...]:
    """The target's runtimes that run the scheme, the target's best first.

    Raises:
        UnsupportedError: none does; the message names the schemes that some do.
    """
    wanted = scheme_named(scheme)
    trial = _trial(model, wanted)
    at_once = tuple(name for name in target.board.runtimes if not _refused(trial, name, target))
    if at_once:
        return at_once
    able = runners(model, target)
    if able[wanted.name]:
        return able[wanted.name]
    others = [name for name, by in able.items() if by]
    raise UnsupportedError(
        f"{target.name} can't run {wanted.name} ({wanted.summary}): none of its runtimes "
        f"({', '.join(target.board.runtimes)}) has these kernels",
        where=model.source or model.name,
        next_step=f"choose one of: {', '.join(others)}" if others else "`edgeq check` says what the target lacks",
        scheme=wanted.name,
        target=target.name,
        schemes=others,
    )


def _trial(model: Model, scheme: Scheme) -> Graph:
    graph = model.graph
    activations = [t.index for t in graph.tensors if t.dtype is DType.FLOAT32 and not t.is_constant]
    return tflite.parse(quantize(model, {index: Range(-1.0, 1.0) for index in activations}, scheme=scheme))


def _refused(graph: Graph, runtime: str, target: Target) -> frozenset[str]:
    """The operators, by their outputs' names, that the runtime has no kernel for."""
    if runtime == OWN_ENGINE:
        return frozenset(graph.output_of(op).name for op in graph.ops if choose(graph, op, target.core).kernel is None)
    return frozenset(verdict.name for verdict in runtimes.judge(graph, runtime).refused)
