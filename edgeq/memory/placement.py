"""Offsets for buffers whose lifetimes are known: small, and the same every time.

Two buffers that are ever live together must keep a distance: the lower one's size, or, where the upper one is an input
that dies while the lower one is written over it, as much as the kernel asks for. First fit places buffers one after
another at the lowest offset that keeps all distances; where distances aren't negative, any optimal arrangement is
reached by first fit in *some* order (that of its offsets), so the search is over orders: a few good ones, then changes
of the best at random with a fixed seed and a fixed number of steps, and not at all when the lower bound is reached.
Branch and bound (`exact`), before that and after it, finds the smallest placement or proves that there is none smaller,
unless the network is too large for that.

Orders by size and by breadth: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
Inference", 2020 (arXiv:2001.03288), sections 4.2 and 4.3.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.memory import exact
from edgeq.memory.liveness import Lifetime

SEARCH_STEPS = 300_000
"""Pairs of buffers that the search may look at: 0.1 to 0.2 s, whatever the size of the network."""
PROOF_STEPS = 300_000
"""Pairs and buffers that branch and bound may look at: 0.2 to 0.3 s."""
PROMPT = 20
"""The part of them that it may look at before the search of orders, which takes as long even where a look is enough."""


@dataclass(frozen=True)
class Placement:
    """Offsets of the lifetimes, in their order, and the bytes they need in all.

    Attributes:
        bound_bytes: what no placement can be smaller than; `total_bytes` where that is proven to be the least.
    """

    offsets: tuple[int, ...]
    total_bytes: int
    bound_bytes: int


@dataclass(frozen=True)
class _Distances:
    """Buffers and the distances they must keep.

    Attributes:
        sizes: bytes.
        spans: operators from the first to the last.
        near: for each buffer, (other, distance when this one is below, when the other is below). It may begin at the
            other's offset less the first, or plus the second, but nowhere between.
    """

    sizes: tuple[int, ...]
    spans: tuple[int, ...]
    near: tuple[tuple[tuple[int, int, int], ...], ...]


def lower_bound(buffers: Sequence[Lifetime]) -> int:
    """The most bytes live at one time: no placement can be smaller."""
    return max(live_bytes(buffers).values(), default=0)


def place(buffers: Sequence[Lifetime], steps: int = SEARCH_STEPS, proof_steps: int = PROOF_STEPS) -> Placement:
    """Offsets for all of them; no two that are live together overlap, but as `Lifetime.over` allows.

    Args:
        steps: how long to search when the first orders miss the lower bound; see SEARCH_STEPS.
        proof_steps: how long branch and bound may take after that.
    """
    bound = lower_bound(buffers)
    kept = _distances(buffers)
    best_order: list[int] = []
    best: list[int] = []
    best_total = -1
    for order in _orders(buffers, kept):
        offsets, total = _first_fit(kept, order)
        if best_total < 0 or total < best_total:
            best_order, best, best_total = order, offsets, total
        if best_total == bound:
            break
    apart = [(i, j, a, b) for i, near in enumerate(kept.near) for j, a, b in near if i < j]
    for share, tries in ((PROMPT, 0), (1, steps)):  # small networks are decided at once
        if best_total > bound and tries:
            best, best_total = _search(kept, best_order, best, best_total, bound, tries)
        if best_total > bound and proof_steps:
            verdict = exact.search(kept.sizes, apart, best_total, bound, proof_steps // share)
            best, best_total = list(verdict.offsets) or best, verdict.total_bytes
            bound = best_total if verdict.proven else bound
    return Placement(tuple(best), max(best_total, 0), bound)


def live_pairs(buffers: Sequence[Lifetime]) -> Iterator[tuple[int, int]]:
    """All pairs of lifetimes that share a time; as many steps as there are pairs, not all with all."""
    live: list[tuple[int, int]] = []
    for index in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        while live and live[0][0] < buffers[index].first:
            heapq.heappop(live)
        for _, other in live:
            yield other, index
        heapq.heappush(live, (buffers[index].last, index))


def live_bytes(buffers: Sequence[Lifetime]) -> dict[int, int]:
    """Bytes live at each time at which a buffer begins (the peak is at one of these)."""
    starts = sorted({b.first for b in buffers})
    change: dict[int, int] = {}
    for buffer in buffers:
        change[buffer.first] = change.get(buffer.first, 0) + buffer.size_bytes
        change[buffer.last + 1] = change.get(buffer.last + 1, 0) - buffer.size_bytes
        saved = min(
            buffer.size_bytes,
            sum(shared_bytes(buffer.size_bytes, buffers[i].size_bytes, distance) for i, distance in buffer.over),
        )
        change[buffer.first] -= saved
        change[buffer.first + 1] = change.get(buffer.first + 1, 0) + saved
    found: dict[int, int] = {}
    running = 0
    for time in sorted(change):
        running += change[time]
        found[time] = running
    return {t: found[t] for t in starts}


def shared_bytes(output: int, dying: int, distance: int) -> int:
    """The most bytes that an output and a dying input of these sizes can have in common."""
    both = max(output, dying + max(distance, 0))
    return max(0, output + dying - both)


def _distances(buffers: Sequence[Lifetime]) -> _Distances:
    near: list[list[tuple[int, int, int]]] = [[] for _ in buffers]
    for i, j in live_pairs(buffers):
        one, other = buffers[i].size_bytes, buffers[j].size_bytes
        if not one or not other:
            continue
        pairs = [(one, other)]
        allowed = dict(buffers[j].over).get(i)
        if allowed is not None:  # i dies while j is written
            pairs = [(one, min(other, allowed))] + [(-allowed, other)] * buffers[j].exactly
        allowed = dict(buffers[i].over).get(j)
        if allowed is not None:
            pairs = [(min(one, allowed), other)] + [(one, -allowed)] * buffers[i].exactly
        for one, other in pairs:
            if one + other > 0:
                near[i].append((j, one, other))
                near[j].append((i, other, one))
    return _Distances(
        tuple(b.size_bytes for b in buffers), tuple(1 + b.last - b.first for b in buffers), tuple(map(tuple, near))
    )


def _orders(buffers: Sequence[Lifetime], kept: _Distances) -> Iterator[list[int]]:
    numbers = range(len(kept.sizes))
    yield sorted(numbers, key=lambda b: (-kept.sizes[b], -kept.spans[b], b))
    yield sorted(numbers, key=lambda b: (-kept.sizes[b] * kept.spans[b], b))
    yield sorted(numbers, key=lambda b: (-kept.spans[b], -kept.sizes[b], b))
    yield _by_breadth(buffers, kept)
    yield list(numbers)
    yield list(reversed(numbers))


def _by_breadth(buffers: Sequence[Lifetime], kept: _Distances) -> list[int]:
    """The buffers of the fullest moment first, the largest of them first."""
    live = live_bytes(buffers)
    times = sorted(live, key=lambda t: -live[t])
    rank = {time: i for i, time in enumerate(times)}
    fullest = [len(times)] * len(kept.sizes)
    starts = sorted(times)
    ranks = [rank[t] for t in starts]
    position = {t: i for i, t in enumerate(starts)}
    for index, buffer in enumerate(buffers):
        i = position[buffer.first]
        while i < len(starts) and starts[i] <= buffer.last:
            fullest[index] = min(fullest[index], ranks[i])
            i += 1
    return sorted(range(len(kept.sizes)), key=lambda b: (fullest[b], -kept.sizes[b], b))


def _first_fit(kept: _Distances, order: Sequence[int]) -> tuple[list[int], int]:
    """Offsets of the buffers when each takes the lowest place left, in that order."""
    offsets = [-1] * len(order)
    total = 0
    for buffer in order:
        size = kept.sizes[buffer]
        # Starting strictly between `offset - below` and `offset + above` would touch the other buffer.
        taken = sorted(
            (offsets[other] - below, offsets[other] + above)
            for other, below, above in kept.near[buffer]
            if offsets[other] >= 0
        )
        offset = 0
        for start, end in taken:
            if start >= offset:
                break
            offset = max(offset, end)
        offsets[buffer] = offset
        total = max(total, offset + size)
    return offsets, total


def _search(
    kept: _Distances, order: list[int], offsets: list[int], total: int, bound: int, steps: int
) -> tuple[list[int], int]:
    """Better orders by moving one buffer at a time: mostly one that touches the top, and mostly to the front."""
    chance = random.Random(len(order))
    cost = len(order) + sum(len(d) for d in kept.near)
    current, current_total = list(order), total
    best = offsets
    for _ in range(steps // max(cost, 1)):
        trial = list(current)
        moved = chance.randrange(len(trial))
        if chance.random() < 0.7:
            ends = [offsets[b] + kept.sizes[b] for b in trial]
            moved = ends.index(max(ends))
        buffer = trial.pop(moved)
        front = chance.choice((0, moved, len(trial)))
        trial.insert(chance.randrange(front + 1), buffer)
        trial_offsets, trial_total = _first_fit(kept, trial)
        if trial_total <= current_total:
            current, current_total, offsets = trial, trial_total, trial_offsets
        if trial_total < total:
            best, total = trial_offsets, trial_total
        if total == bound:
            break
    return best, total
