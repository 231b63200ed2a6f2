"""`--optimize latency`: the fewest estimated cycles, for at most twice the model's weights in flash."""

from __future__ import annotations

from edgeq.graph import Graph
from edgeq.kernels import Objective, Pick, Selection
from edgeq.selection.options import Option, Options, price
from edgeq.target import Core

MOST_WEIGHTS = 2
"""Times the bytes that the model's own constants take."""


def fastest(graph: Graph, core: Core, options: Options) -> Selection:
    """Rows that take surely fewer cycles than the first: by more than the errors of both estimates.

    Where the weights would grow beyond what is allowed, those that save most per byte are taken.
    """
    firsts = {place: rows[0] for place, rows in enumerate(options) if rows}
    if all(first.cycles is None for first in firsts.values() if first.kernel.symbol):
        note = f"no kernel's cycles were fitted on {core.title}: the table's order, fastest first, is kept"
        return Selection(Objective.LATENCY, notes=(note,))
    better = {place: found for place, first in firsts.items() if (found := _faster(first, options[place])) is not None}
    allowed, used = MOST_WEIGHTS * _model_bytes(graph), sum(first.weights_bytes for first in firsts.values())
    taken = dict(firsts)
    for place in sorted(better, key=lambda at: (-_worth(firsts[at], better[at]), at)):
        more = better[place].weights_bytes - firsts[place].weights_bytes
        if more <= 0 or used + more <= allowed:
            taken[place], used = better[place], used + more
    picks = {
        place: Pick(option.kernel, _why(firsts[place], option))
        for place, option in taken.items()
        if option is not firsts[place]
    }
    whole = max(1, _model_bytes(graph))
    notes = [f"weights take {used:,} B of flash, {used / whole:.2f} times the model's {whole:,} B"]
    refused = len(better) - len(picks)
    if refused:
        notes.append(f"{refused} layers would be faster, but weights may take {MOST_WEIGHTS} times the model's at most")
    told = price(list(firsts.values()), list(taken.values()))
    return Selection(Objective.LATENCY, picks, (*notes, *((told,) if told else ())))


def _faster(first: Option, rows: tuple[Option, ...]) -> Option | None:
    if first.cycles is None:
        return None
    sure = [option for option in rows[1:] if option.cycles is not None and option.most_cycles < first.least_cycles]
    return min(sure, key=lambda option: option.cycles or 0.0, default=None)


def _worth(first: Option, option: Option) -> float:
    """Cycles saved per byte of weights more."""
    more = option.weights_bytes - first.weights_bytes
    return ((first.cycles or 0.0) - (option.cycles or 0.0)) / more if more > 0 else float("inf")


def _model_bytes(graph: Graph) -> int:
    """Of the constants that operators read."""
    read = {i for op in graph.ops for i in op.inputs if i >= 0 and graph.tensors[i].is_constant}
    return sum(graph.tensors[i].size_bytes for i in read)


def _why(first: Option, option: Option) -> str:
    return (
        f"estimated {option.cycles:,.0f} cycles (±{option.error_percent:.0f} %) instead of {first.cycles:,.0f} "
        f"(±{first.error_percent:.0f} %) with {first.kernel.symbol}"
    )
