"""The cheapest bits for each layer: all that is worth having between costs and predicted error.

A layer's weights add an error that depends on its own bits; its output's error depends on who reads it too: it has 16
bits only where its maker and all its readers work in 16 bits, as a QUANTIZE in between rounds it to 8. Along a chain of
layers the best choices for each cost are found by dynamic programming over pairs of neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WEIGHTS_4, BITS_8, BITS_16 = range(3)
"""Options by their place: 4-bit weights, all 8 bits, 16-bit activations."""
_MIXES = (0.02, 0.25, 0.5, 0.75, 0.98)
"""Shares of flash in the scalar cost that each pass minimises; the rest is cycles."""
_MOST_STATES = 200


@dataclass(frozen=True)
class Unit:
    """A layer whose bits are chosen, with what follows it without weights.

    Attributes:
        flash: bytes of its constants for each option; infinite where the option isn't possible.
        cycles: of an inference, in one unit for all layers.
        weight_noise: error over signal at the network's output that its weights make, for each option.
        output_noise: the same of its output, with 8 and with 16 bits.
        readers: places of the units that read its output; () where it is the network's.
        conversion: cycles of a QUANTIZE of its output.
    """

    flash: tuple[float, float, float]
    cycles: tuple[float, float, float]
    weight_noise: tuple[float, float, float]
    output_noise: tuple[float, float]
    readers: tuple[int, ...]
    conversion: float = 0.0


@dataclass(frozen=True)
class Total:
    """What an assignment costs, and the error predicted for it."""

    flash: float
    cycles: float
    noise: float


@dataclass(frozen=True)
class Found:
    """Assignments, cheapest first, none of which is beaten in all three by another.

    Attributes:
        exact: whether nothing was thinned out, on a chain: then each is optimal for its mix of flash and cycles.
    """

    assignments: tuple[tuple[int, ...], ...]
    totals: tuple[Total, ...]
    exact: bool


def total(units: Sequence[Unit], assignment: Sequence[int]) -> Total:
    """Costs add up; so do errors of different layers, as far as they are independent."""
    flash = cycles = noise = 0.0
    for unit, option in zip(units, assignment, strict=True):
        flash, cycles = flash + unit.flash[option], cycles + unit.cycles[option]
        wide = option == BITS_16
        readers = [assignment[i] == BITS_16 for i in unit.readers]
        noise += unit.weight_noise[option] + unit.output_noise[1 if wide and all(readers) else 0]
        cycles += unit.conversion if any(reader != wide for reader in readers) else 0.0
    return Total(flash, cycles, noise)


def search(units: Sequence[Unit]) -> Found:
    """All assignments that are worth having."""
    eight = total(units, [BITS_8] * len(units))
    found: set[tuple[int, ...]] = {(BITS_8,) * len(units)}
    exact = all(unit.readers == ((i + 1,) if i + 1 < len(units) else ()) for i, unit in enumerate(units))
    for mix in _MIXES:
        front, whole = _front(units, mix / max(eight.flash, 1e-9), (1 - mix) / max(eight.cycles, 1e-9))
        found.update(front)
        exact = exact and whole
    totals = {assignment: total(units, assignment) for assignment in found}
    kept = _unbeaten(totals)
    kept.sort(key=lambda a: (relative_cost(totals[a], eight), totals[a].noise))
    return Found(tuple(kept), tuple(totals[a] for a in kept), exact)


def relative_cost(found: Total, eight: Total) -> float:
    """Flash and cycles beside those of 8 bits everywhere, in equal parts: 1 is as much as these."""
    return 0.5 * found.flash / max(eight.flash, 1e-9) + 0.5 * found.cycles / max(eight.cycles, 1e-9)


def _unbeaten(totals: Mapping[tuple[int, ...], Total]) -> list[tuple[int, ...]]:
    """Those that no other one beats in one of the three without losing in another; of equals one."""
    each = {(t.flash, t.cycles, t.noise): a for a, t in sorted(totals.items(), reverse=True)}
    points = sorted(each)
    kept: list[tuple[float, float, float]] = []
    for point in points:  # with the flash rising, only what came before can beat it
        if not any(other[1] <= point[1] and other[2] <= point[2] for other in kept):
            kept.append(point)
    return [each[point] for point in kept]


_State = tuple[float, float, tuple[int, ...]]


def _front(units: Sequence[Unit], per_byte: float, per_cycle: float) -> tuple[list[tuple[int, ...]], bool]:
    """Least noise for each scalar cost, and whether nothing was thinned out."""
    whole = True
    states: dict[int, list[_State]] = {}
    for place, unit in enumerate(units):
        last = place + 1 == len(units)
        reached: dict[int, list[_State]] = {option: [] for option in range(3)}
        for option in range(3):
            price = per_byte * unit.flash[option] + per_cycle * unit.cycles[option]
            if not math.isfinite(price):
                continue
            own = unit.weight_noise[option] + (unit.output_noise[option == BITS_16] if last else 0.0)
            before = states if place else {option: [(0.0, 0.0, ())]}
            for earlier, candidates in before.items():
                noise, cost = own, price
                if place:
                    maker = units[place - 1]
                    noise += maker.output_noise[1 if earlier == option == BITS_16 else 0]
                    if (earlier == BITS_16) != (option == BITS_16):
                        cost += per_cycle * maker.conversion
                reached[option] += [(c + cost, n + noise, (*path, option)) for c, n, path in candidates]
        for option, candidates in reached.items():
            states_of, complete = _undominated(candidates)
            reached[option], whole = states_of, whole and complete
        states = {option: candidates for option, candidates in reached.items() if candidates}
    final, complete = _undominated([state for candidates in states.values() for state in candidates])
    return [path for _, _, path in final], whole and complete


def _undominated(states: list[_State]) -> tuple[list[_State], bool]:
    kept: list[_State] = []
    for state in sorted(states):
        if not kept or state[1] < kept[-1][1]:
            kept.append(state)
    if len(kept) <= _MOST_STATES:
        return kept, True
    step = (len(kept) - 1) / (_MOST_STATES - 1)
    return [kept[round(i * step)] for i in range(_MOST_STATES)], False
