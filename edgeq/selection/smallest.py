"""`--optimize size`: the least flash, of code, each file once, and constants.

Which files are there decides everything else: an operator takes the row with the least constants of those whose files
are. All sets of files are tried where there are few; else files are left out and brought back one row at a time, as
long as that helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeq.kernels import Kernel, Objective, Pick, Selection
from edgeq.selection.footprint import core_code
from edgeq.selection.options import Option, Options, price
from edgeq.target import Core

_MOST_LOOKS = 400_000
"""Options that the search of all sets may look at: about half a second."""


def smallest(core: Core, options: Options) -> Selection:
    """The rows with the least flash in all; of equals, those that come first in the table."""
    firsts = {place: rows[0] for place, rows in enumerate(options) if rows}
    search = _Search(core, options)
    taken = search.run()
    before, after = search.flash_bytes(firsts), search.flash_bytes(taken)
    picks = {
        place: Pick(option.kernel, _why(firsts[place], option))
        for place, option in taken.items()
        if option.kernel is not firsts[place].kernel
    }
    note = f"kernels' code and constants take about {after:,} B of flash; with the first kernels {before:,} B"
    told = price(list(firsts.values()), list(taken.values()))
    return Selection(Objective.SIZE, picks, (note, *((told,) if told else ())))


def files_of(kernel: Kernel) -> frozenset[str]:
    """What is compiled or assembled for it."""
    return frozenset(source for source in kernel.sources if source.endswith((".c", ".S")))


@dataclass(frozen=True)
class _Found:
    total_bytes: int
    rank: int
    """How far down the table the rows are, in all."""
    places: tuple[int, ...]
    """Of each operator with a choice, which of its rows."""


class _Search:
    """Sets of files are bits of an int."""

    def __init__(self, core: Core, options: Options) -> None:
        self._options = {place: rows for place, rows in enumerate(options) if rows}
        self._sizes = core_code(core).kernel_code_bytes
        self._unknown = max(self._sizes.values(), default=0)
        self._free = {place: rows for place, rows in self._options.items() if len(rows) > 1}
        names = sorted({f for rows in self._options.values() for row in rows for f in files_of(row.kernel)})
        self._bit = {name: 1 << i for i, name in enumerate(names)}
        self._bytes = [self._sizes.get(name, self._unknown) for name in names]
        self._forced = 0
        for rows in self._options.values():
            if len(rows) == 1:
                self._forced |= self._mask(rows[0])
        self._rows = [
            [(self._mask(row), row.constant_bytes, place) for place, row in enumerate(rows)]
            for rows in self._free.values()
        ]

    def run(self) -> dict[int, Option]:
        """Operator → its row."""
        sets = sorted({mask & ~self._forced for rows in self._rows for mask, _, _ in rows} - {0})
        looks = sum(map(len, self._rows)) << len(sets)
        best = self._all(sets) if looks <= _MOST_LOOKS else self._step_by_step(sets)
        taken = {place: rows[0] for place, rows in self._options.items()}
        for (place, rows), which in zip(self._free.items(), best.places, strict=True):
            taken[place] = rows[which]
        return taken

    def flash_bytes(self, taken: dict[int, Option]) -> int:
        """Code and constants of these rows."""
        files = {f for option in taken.values() for f in files_of(option.kernel)}
        code = sum(self._sizes.get(name, self._unknown) for name in files)
        return code + sum(option.constant_bytes for option in taken.values())

    def _mask(self, option: Option) -> int:
        return sum(self._bit[name] for name in files_of(option.kernel))

    def _all(self, sets: list[int]) -> _Found:
        return min(self._reached(self._unions(sets)), key=lambda found: (found.total_bytes, found.rank, found.places))

    def _unions(self, sets: list[int]) -> list[int]:
        unions = {self._forced}
        for each in sets:
            unions |= {union | each for union in unions}
        return sorted(unions)

    def _step_by_step(self, sets: list[int]) -> _Found:
        """From all files on; each step the one change that saves most."""
        have = set(sets)
        best = self._with(have)
        assert best is not None
        while True:
            steps = [found for each in sets if (found := self._with(have ^ {each})) is not None]
            better = min(steps, key=lambda found: (found.total_bytes, found.rank, found.places), default=best)
            if better.total_bytes >= best.total_bytes:
                return best
            have, best = have ^ {next(each for each in sets if self._with(have ^ {each}) == better)}, better

    def _with(self, have: set[int]) -> _Found | None:
        union = self._forced
        for each in have:
            union |= each
        return next(self._reached([union]), None)

    def _reached(self, unions: list[int]) -> Iterator[_Found]:
        """What each set of files comes to, where all operators can run."""
        for union in unions:
            total = rank = used = 0
            places = []
            for rows in self._rows:
                there = [(size, place, mask) for mask, size, place in rows if not mask & ~union]
                if not there:
                    break
                size, place, mask = min(there)
                total, rank, used = total + size, rank + place, used | mask
                places.append(place)
            else:
                files = used | self._forced
                code = sum(size for i, size in enumerate(self._bytes) if files >> i & 1)
                yield _Found(total + code, rank, tuple(places))


def _why(first: Option, option: Option) -> str:
    fewer = first.constant_bytes - option.constant_bytes
    told = f"{fewer:,} B of constants less" if fewer > 0 else f"{-fewer:,} B of constants more" if fewer else ""
    shared = "" if files_of(option.kernel) == files_of(first.kernel) else "less code in all"
    return f"{', '.join(filter(None, (told, shared)))} than with {first.kernel.symbol} ({first.kernel.types})"
