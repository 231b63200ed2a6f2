"""`--optimize ram`: the smallest arena.

What is live while an operator runs depends on no other operator's kernel: its own decides the scratch, and how far the
output may lie over the input. So no choice has a lower peak than the operator whose leanest row needs most. Every level
from there to the peak with the first rows is a choice: the first row of each operator that stays below it. A placement
may need more than its peak, so that each is planned; of the smallest the one furthest up the table is taken, and
whatever the arena doesn't need goes back to its first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from edgeq.errors import UnsupportedError
from edgeq.graph import Graph
from edgeq.kernels import Lowering, Objective, Pick, Selection
from edgeq.memory import plan_in_order
from edgeq.memory.liveness import lifetimes
from edgeq.memory.placement import live_bytes
from edgeq.selection.options import Option, Options, price

_ALIGNMENT = 16
_MOST_LEVELS, _MOST_RETURNS = 6, 6
"""Plans that the search may ask for: each takes up to a second where a network is hard to place."""


def leanest(graph: Graph, options: Options) -> Selection:
    """The rows with which the arena is smallest; of those, the first in the table."""
    try:
        live = _live(graph, options)
    except UnsupportedError:  # it can't be planned, whatever the rows: the plan will say so
        return Selection(Objective.RAM)
    first = [0] * len(options)
    before = _arena(graph, options, first)
    chosen, arena = _smallest(graph, options, live, before)
    chosen = _returned(graph, options, live, chosen, arena)
    firsts, taken = _taken(options, first), _taken(options, chosen)
    picks = {
        place: Pick(taken[place].kernel, _why(firsts[place], taken[place], live[place][0], live[place][which]))
        for place, which in enumerate(chosen)
        if which
    }
    note = f"the arena takes {arena:,} B; with the first kernels {before:,} B"
    told = price(list(firsts.values()), list(taken.values()))
    return Selection(Objective.RAM, picks, (note, *((told,) if told else ())))


def _smallest(graph: Graph, options: Options, live: Sequence[Sequence[int]], before: int) -> tuple[list[int], int]:
    """The choice with the smallest arena, and that."""
    least = max((min(rows, default=0) for rows in live), default=0)
    levels = sorted({size for rows in live for size in rows if least <= size < before})
    best, arena = [0] * len(options), before
    leanest_rows = [rows.index(min(rows)) if rows else 0 for rows in live]
    below = ([next((i for i, size in enumerate(rows) if size <= level), 0) for rows in live] for level in levels)
    for chosen in (*islice(below, _MOST_LEVELS), leanest_rows):
        if arena <= least:
            break
        found = _arena(graph, options, chosen)
        if (found, sum(chosen)) < (arena, sum(best)):
            best, arena = chosen, found
    return best, arena


def _returned(
    graph: Graph, options: Options, live: Sequence[Sequence[int]], chosen: list[int], arena: int
) -> list[int]:
    """The same without the changes that the arena doesn't need.

    First as many at once as can go, those with fewer live bytes before others; then one by one.
    """
    changed = [at for at, which in enumerate(chosen) if which and live[at][0] <= arena]
    changed.sort(key=lambda at: (live[at][0], at))

    def without(some: Sequence[int]) -> list[int]:
        return [0 if at in some else which for at, which in enumerate(chosen)]

    low, high = 0, len(changed)
    while low < high:  # the most that can go
        middle = (low + high + 1) // 2
        if _arena(graph, options, without(changed[:middle])) <= arena:
            low = middle
        else:
            high = middle - 1
    gone = changed[:low]
    for at in changed[low + 1 : low + 1 + _MOST_RETURNS]:
        if _arena(graph, options, without([*gone, at])) <= arena:
            gone.append(at)
    return without(gone)


def _live(graph: Graph, options: Options) -> list[list[int]]:
    """Of each operator and each of its rows, the bytes that are live while it runs.

    As many looks at the graph as the operator with most rows has: each gives every operator its next one.
    """
    found: list[list[int]] = [[] for _ in options]
    for turn in range(max(map(len, options), default=0)):
        lowerings = _lowerings(options, [min(turn, len(rows) - 1) for rows in options])
        live = live_bytes(lifetimes(graph, lowerings, _ALIGNMENT))
        running, times = 0, sorted(live)
        for place, rows in enumerate(options):
            while times and times[0] <= place:
                running = live[times.pop(0)]
            if turn < len(rows):
                found[place].append(running)
    return found


def _arena(graph: Graph, options: Options, chosen: Sequence[int]) -> int:
    return plan_in_order(graph, _lowerings(options, chosen)).arena_bytes


def _lowerings(options: Options, chosen: Sequence[int]) -> list[Lowering]:
    return [rows[which].lowering if rows else Lowering() for rows, which in zip(options, chosen, strict=True)]


def _taken(options: Options, chosen: Sequence[int]) -> dict[int, Option]:
    return {place: rows[which] for place, (rows, which) in enumerate(zip(options, chosen, strict=True)) if rows}


def _why(first: Option, option: Option, before: int, after: int) -> str:
    return f"{after:,} B live instead of {before:,} B with {first.kernel.symbol} ({first.kernel.types})"
