"""The order in which operators run, where another than the file's needs less memory: the least there is, or a bound.

Any order that keeps what depends on what computes the same. What has run already decides which bytes are live, so that
orders with the same operators behind them can be compared by their peaks alone: a search over such sets, the lowest
peak first, finds the best order and has proven it when it ends (Ahn et al., "Ordering Chaos", MLSys 2020, do the same
by dynamic programming). Two things keep it short. Operators that all others come before or behind cut the network into
parts that are searched apart, and a part whose order in the file stays below the peak of another keeps that order. And
an operator that is ready, stays below a peak that is reached anyway and leaves no more bytes live than there were can
run at once: moved to the front of any order that goes on from there, it makes no later step larger.

Where that takes too long, a beam of the best few sets goes on instead, and the lowest peak that the search had not
excluded remains as the bound.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import Program, Step
from edgeq.kernels.contract import Lowering
from edgeq.memory.liveness import crossings, groups
from edgeq.memory.placement import shared_bytes
from edgeq.memory.plan import Ordering
from edgeq.units import align_up

SEARCH_STEPS = 20_000
"""Operators that the exact search may try, over all parts: about 0.3 s."""
BEAM_STEPS = 20_000
"""The same of the beam, for one part."""
_MOST_BEAM = 64
_MOST_BOUNDED = 1000
"""Operators of a part, all of which are compared with each other."""
_STATEFUL = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "IF", "WHILE", "CALL"})


def reordered(graph: Graph, order: Sequence[int]) -> Graph:
    """The graph with its operators in that order; each `Op.index` is its new place."""
    return replace(graph, ops=tuple(replace(graph.ops[old], index=new) for new, old in enumerate(order)))


def reordered_program(program: Program, order: Sequence[int]) -> Program:
    """The same of a program, at all its precisions; steps that precisions share stay shared."""
    made: dict[int, Step] = {}

    def moved(each: Program) -> Program:
        graph = reordered(each.graph, order)
        steps = []
        for op, old in zip(graph.ops, order, strict=True):
            step = each.steps[old]
            steps.append(made.setdefault(id(step), replace(step, op=op)))
        lower = MappingProxyType({bits: moved(other) for bits, other in each.lower.items()})
        return replace(each, graph=graph, steps=tuple(steps), lower=lower)

    return moved(program)


def find_order(
    graph: Graph,
    lowerings: Sequence[Lowering],
    alignment: int = 16,
    *,
    search_steps: int = SEARCH_STEPS,
    beam_steps: int = BEAM_STEPS,
) -> Ordering:
    """An order with the lowest peak of live bytes that is found; the file's where none is lower.

    Args:
        lowerings: one per operator, in the file's order.
        search_steps, beam_steps: see SEARCH_STEPS and BEAM_STEPS.

    Raises:
        UnsupportedError: as `memory.liveness.lifetimes` does.
    """
    parts = _parts(graph, lowerings, alignment)
    in_file = [part.peak_of(range(len(part.steps))) for part in parts]
    ends = _ends_bytes(graph, lowerings, alignment)
    floor = max((ends, *(part.unavoidable for part in parts)))
    order = list(range(len(graph.ops)))
    peak, left = 0, search_steps
    for at in sorted(range(len(parts)), key=lambda i: (-in_file[i], i)):
        part = parts[at]
        if in_file[at] <= max(floor, peak):
            peak = max(peak, in_file[at])
            continue
        found = _search(part, max(floor, peak), left)
        left -= found.steps
        if not found.order or found.peak > found.bound:
            other = _beam(part, max(floor, peak), beam_steps)
            found = replace(found, order=other.order, peak=other.peak)
        if found.peak >= in_file[at]:
            found = replace(found, order=tuple(range(len(part.steps))), peak=in_file[at])
        first = part.first
        order[first : first + len(found.order)] = [first + i for i in found.order]
        floor, peak = max(floor, found.bound), max(peak, found.peak)
    peak = max(peak, ends)
    return Ordering(tuple(order), peak, max((ends, *in_file)), min(floor, peak))


class _Touch(NamedTuple):
    """A group of tensors as an operator of a part sees it.

    Attributes:
        size: bytes.
        mask: the operators of the part that touch it.
        begun: whether it lives already when the part begins.
        stays: whether it lives on behind it.
    """

    group: int
    size: int
    mask: int
    begun: bool
    stays: bool


@dataclass(frozen=True)
class _Step:
    """An operator of a part, with masks of operators of the part (bit i: the part's i-th).

    Attributes:
        before: those that must have run.
        behind: places of those that wait for it.
        touches: each group that it reads or writes.
        over: (bytes that input and output can have in common, mask of the operators that touch the input) for each
            input that the output may overlap.
        out_bytes: of that output.
    """

    before: int
    behind: tuple[int, ...]
    touches: tuple[_Touch, ...]
    scratch: int
    over: tuple[tuple[int, int], ...]
    out_bytes: int


@dataclass(frozen=True)
class _Part:
    """Consecutive operators that have all others before or behind them.

    Attributes:
        first: the place of its first operator.
        live: bytes live before it.
        unavoidable: bytes that no order of it stays below.
    """

    first: int
    steps: tuple[_Step, ...]
    live: int
    unavoidable: int

    def run(self, place: int, done: int, live: int) -> tuple[int, int]:
        """Bytes live while an operator runs, and behind it."""
        step, bit = self.steps[place], 1 << place
        new = freed = 0
        for _, size, mask, begun, stays in step.touches:
            if not begun and not mask & done:
                new += size
            if not stays and not mask & ~(done | bit):
                freed += size
        saved = min(step.out_bytes, sum(both for both, mask in step.over if not mask & ~(done | bit)))
        return live + new + step.scratch - saved, live + new - freed

    def peak_of(self, order: Sequence[int]) -> int:
        """The most bytes live in that order."""
        done, live, highest = 0, self.live, self.live
        for place in order:
            peak, live = self.run(place, done, live)
            highest = max(highest, peak)
            done |= 1 << place
        return highest

    def next_ready(self, ready: tuple[int, ...], place: int, done: int) -> tuple[int, ...]:
        """What can run once `place` has; `done` has it already."""
        freed = [i for i in self.steps[place].behind if not self.steps[i].before & ~done]
        return tuple(sorted({*ready, *freed} - {place}))

    def starts(self) -> tuple[int, ...]:
        """What can run first."""
        return tuple(i for i, step in enumerate(self.steps) if not step.before)


@dataclass(frozen=True)
class _Found:
    """An order of a part (() if there is none), its peak, what no order is below, and the steps that it took."""

    order: tuple[int, ...]
    peak: int
    bound: int
    steps: int


_Chain = tuple["_Chain", int] | None
"""An order as a linked list, its last operator first."""


def _listed(chain: _Chain) -> tuple[int, ...]:
    found = []
    while chain is not None:
        chain, place = chain
        found.append(place)
    return tuple(reversed(found))


def _choices(part: _Part, ready: tuple[int, ...], done: int, live: int, peak: int) -> list[tuple[int, int, int]]:
    """(place, peak, bytes live behind it) of all that may be next; of one alone where nothing is lost by that."""
    found = []
    for place in ready:
        reached, after = part.run(place, done, live)
        if reached <= peak and after <= live:
            return [(place, peak, after)]
        found.append((place, max(peak, reached), after))
    return found


def _search(part: _Part, floor: int, steps: int) -> _Found:
    """The best order, unless it takes more steps; peaks up to `floor` are all the same."""
    everything = (1 << len(part.steps)) - 1
    spent = count = 0
    start = max(floor, part.live)
    queue: list[tuple[int, int, int, int, int, tuple[int, ...], _Chain]] = []
    heapq.heappush(queue, (start, 0, 0, 0, part.live, part.starts(), None))
    seen: set[int] = set()
    lowest = start
    while queue:
        peak, behind, _, done, live, ready, chain = heapq.heappop(queue)
        lowest = peak
        if done == everything:
            return _Found(_listed(chain), peak, peak, spent)
        if done in seen:
            continue
        seen.add(done)
        if spent > steps:
            break
        spent += len(ready)
        for place, reached, after in _choices(part, ready, done, live, peak):
            now = done | 1 << place
            if now not in seen:
                count += 1
                waiting = part.next_ready(ready, place, now)
                heapq.heappush(queue, (reached, behind - 1, count, now, after, waiting, (chain, place)))
    return _Found((), 0, lowest, spent)


def _beam(part: _Part, floor: int, steps: int) -> _Found:
    """A good order: of all sets with as many operators, the best few go on."""
    start = max(floor, part.live)
    states: list[tuple[int, int, int, tuple[int, ...], _Chain]] = [(start, part.live, 0, part.starts(), None)]
    left = steps
    for level in range(len(part.steps)):
        following: dict[int, tuple[int, int, int, tuple[int, ...], _Chain]] = {}
        for peak, live, done, ready, chain in states:
            left -= len(ready)
            for place, reached, after in _choices(part, ready, done, live, peak):
                now = done | 1 << place
                if now not in following or reached < following[now][0]:
                    following[now] = (reached, after, now, ready, (chain, place))
        share = max(left, 0) // (len(part.steps) - level)
        ranked = sorted(following.values(), key=lambda s: s[:3])
        width = max(1, min(_MOST_BEAM, share // max(1, len(ranked[0][3]))))
        states = [
            (peak, live, done, part.next_ready(ready, chain[1], done), chain)
            for peak, live, done, ready, chain in ranked[:width]
            if chain is not None
        ]
    best = min(states, key=lambda s: s[:3])
    return _Found(_listed(best[4]), best[0], floor, steps - left)


def _ends_bytes(graph: Graph, lowerings: Sequence[Lowering], alignment: int) -> int:
    """Bytes of all inputs, or of all outputs, with what is kept throughout: they are live together in any order."""
    found, _ = groups(graph, lowerings, alignment)
    behind = len(graph.ops)
    return max(sum(g.size_bytes for g in found if g.first < 0), sum(g.size_bytes for g in found if g.last == behind))


def _parts(graph: Graph, lowerings: Sequence[Lowering], alignment: int) -> list[_Part]:
    before = _before(graph)
    found, group_of = groups(graph, lowerings, alignment)
    ends = [t for t in graph.outputs if t in group_of]
    kept = {group_of[t] for t in ends} | {i for i, g in enumerate(found) if g.fixed}
    given = {group_of[t] for t in graph.inputs if t in group_of} | {i for i, g in enumerate(found) if g.fixed}
    touching: list[list[int]] = [[] for _ in found]
    for op in graph.ops:
        for group in dict.fromkeys(group_of[t] for t in (*op.inputs, *op.outputs) if t in group_of):
            touching[group].append(op.index)
    sizes = [g.size_bytes for g in found]
    live = sum(sizes[i] for i in given if touching[i] or i in kept)
    parts = []
    for first, last in _spans(before):
        local = _local(graph, lowerings, alignment, before, (first, last), group_of, touching, sizes, kept, given)
        part = _Part(first, local, live, 0)
        parts.append(replace(part, unavoidable=_unavoidable(part)))
        for place in range(last - first):
            live = part.run(place, (1 << place) - 1, live)[1]
    return parts


def _before(graph: Graph) -> list[list[int]]:
    """For each operator those that must run before it, at least the nearest of them."""
    maker: dict[int, int] = {}
    found: list[list[int]] = []
    state = -1
    for op in graph.ops:
        needs = {maker[t] for t in op.inputs if t in maker}
        if _keeps_state(graph, op):
            needs |= {state} if state >= 0 else set()
            state = op.index
        found.append(sorted(needs))
        maker.update(dict.fromkeys(op.outputs, op.index))
    return found


def _keeps_state(graph: Graph, op: Op) -> bool:
    """Whether it takes part in what is kept between inferences: these stay in their order."""
    touched = [graph.tensors[t] for t in (*op.inputs, *op.outputs) if t >= 0]
    return op.kind in _STATEFUL or any(t.is_variable or t.dtype is DType.RESOURCE for t in touched)


def _spans(before: list[list[int]]) -> list[tuple[int, int]]:
    """Where the parts begin and end: behind operators that need all before them and that all behind them need."""
    count = len(before)
    reach = [False] * count  # all before it are needed by it
    above: list[int] = []
    for i, needs in enumerate(before):
        mask = 1 << i
        for j in needs:
            mask |= above[j]
        above.append(mask)
        reach[i] = mask == (1 << i + 1) - 1
    below = [1 << i for i in range(count)]
    for i in reversed(range(count)):
        for j in before[i]:
            below[j] |= below[i]
    cuts = [i + 1 for i in range(count) if reach[i] and below[i] == (1 << count) - (1 << i)]
    edges = sorted({0, *cuts, count})
    return list(pairwise(edges))


def _local(
    graph: Graph,
    lowerings: Sequence[Lowering],
    alignment: int,
    before: list[list[int]],
    span: tuple[int, int],
    group_of: dict[int, int],
    touching: list[list[int]],
    sizes: list[int],
    kept: set[int],
    given: set[int],
) -> tuple[_Step, ...]:
    """The operators of one part."""
    first, last = span
    behind: list[list[int]] = [[] for _ in range(first, last)]
    for i in range(first, last):
        for j in before[i]:
            if j >= first:
                behind[j - first].append(i - first)

    def about(group: int) -> _Touch:
        ops = touching[group]
        mask = sum(1 << i - first for i in ops if first <= i < last)
        return _Touch(group, sizes[group], mask, group in given or ops[0] < first, group in kept or ops[-1] >= last)

    steps = []
    for op, lowering in zip(graph.ops[first:last], lowerings[first:last], strict=True):
        touched = dict.fromkeys(group_of[t] for t in (*op.inputs, *op.outputs) if t in group_of)
        out = group_of.get(op.outputs[0], -1) if op.outputs else -1
        over = []
        if out >= 0 and touching[out][0] == op.index and out not in given:
            for group, distance in crossings(op, lowering, group_of, alignment):
                _, size, mask, begun, stays = about(group)
                if size and sizes[out] and not stays and (begun or mask & ~(1 << op.index - first)):
                    over.append((shared_bytes(sizes[out], size, distance), mask))
        steps.append(
            _Step(
                before=sum(1 << j - first for j in before[op.index] if j >= first),
                behind=tuple(behind[op.index - first]),
                touches=tuple(about(group) for group in touched),
                scratch=align_up(lowering.scratch_bytes, alignment),
                over=tuple(over),
                out_bytes=sizes[out] if out >= 0 else 0,
            )
        )
    return tuple(steps)


def _unavoidable(part: _Part) -> int:
    """The most bytes that some operator meets in every order: what it touches, and what is made before it in any case
    for what comes behind it in any case."""
    count = len(part.steps)
    if count > _MOST_BOUNDED:
        return part.live
    above, below = [0] * count, [0] * count
    for i, step in enumerate(part.steps):
        above[i] |= 1 << i
        for j in step.behind:
            above[j] |= above[i]
    for i in reversed(range(count)):
        below[i] |= 1 << i
        for j in part.steps[i].behind:
            below[i] |= below[j]
    every = {t for step in part.steps for t in step.touches}
    started = sum(t.size for t in every if t.begun)
    passing = part.live - started  # they live before the part, and nothing in it touches them
    highest = part.live
    for i, step in enumerate(part.steps):
        needed = set(step.touches)
        needed |= {t for t in every if (t.begun or t.mask & above[i]) and (t.stays or t.mask & below[i])}
        saved = sum(both for both, mask in step.over if not mask & below[i] & ~(1 << i))
        live = passing + sum(t.size for t in needed) + step.scratch - min(saved, step.out_bytes)
        highest = max(highest, live)
    return highest
