"""The search for bits against trying everything."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.quantize.mixed import search
from edgeq.quantize.mixed.search import BITS_8, BITS_16, Total, Unit, relative_cost, total

costs = st.integers(1, 50).map(float)
noises = st.integers(0, 1000).map(lambda n: n / 1000)


@st.composite
def chains(draw: st.DrawFn) -> list[Unit]:
    """Layers one behind the other; some have no 4-bit kernel, some none for 16."""
    count = draw(st.integers(1, 4))
    made = []
    for place in range(count):
        flash, cycles = [draw(costs) for _ in range(3)], [draw(costs) for _ in range(3)]
        for option, possible in ((0, draw(st.booleans())), (2, draw(st.booleans()))):
            if not possible:
                flash[option] = cycles[option] = math.inf
        output = draw(noises)
        made.append(
            Unit(
                flash=tuple(flash),  # type: ignore[arg-type]
                cycles=tuple(cycles),  # type: ignore[arg-type]
                weight_noise=tuple(draw(noises) for _ in range(3)),  # type: ignore[arg-type]
                output_noise=(output, output * draw(noises)),
                readers=(place + 1,) if place + 1 < count else (),
                conversion=float(draw(st.integers(0, 5))),
            )
        )
    return made


def everything(units: list[Unit]) -> list[tuple[int, ...]]:
    possible = [[o for o in range(3) if math.isfinite(unit.flash[o])] for unit in units]
    return list(itertools.product(*possible))


@settings(max_examples=25, deadline=None)
@given(chains())
def test_on_a_chain_nothing_is_better_for_any_mix_of_costs(units: list[Unit]) -> None:
    found = search.search(units)
    assert found.exact
    eight = total(units, [BITS_8] * len(units))
    for mix in search._MIXES:

        def priced(each: Total, mix: float = mix) -> tuple[float, float]:
            return mix * each.flash / eight.flash + (1 - mix) * each.cycles / eight.cycles, each.noise

        every = sorted(priced(total(units, a)) for a in everything(units))
        mine = sorted(priced(t) for t in found.totals)
        for bound, _ in every:
            best = min(noise for cost, noise in every if cost <= bound + 1e-9)
            assert min(noise for cost, noise in mine if cost <= bound + 1e-9) == pytest.approx(best, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(chains())
def test_what_is_found_is_possible_sorted_and_not_beaten_by_each_other(units: list[Unit]) -> None:
    found = search.search(units)
    eight = total(units, [BITS_8] * len(units))
    assert set(found.assignments) <= set(everything(units))
    assert list(found.totals) == [total(units, a) for a in found.assignments]
    ranked = [relative_cost(t, eight) for t in found.totals]
    assert ranked == sorted(ranked)
    for a, b in itertools.permutations(found.totals, 2):
        assert not (a.flash <= b.flash and a.cycles <= b.cycles and a.noise <= b.noise and a != b)


def unit(readers: tuple[int, ...] = (), **changes: object) -> Unit:
    made = {
        "flash": (5.0, 10.0, 10.0),
        "cycles": (10.0, 10.0, 20.0),
        "weight_noise": (0.3, 0.1, 0.1),
        "output_noise": (0.2, 0.0),
        "readers": readers,
        "conversion": 1.0,
    }
    return Unit(**{**made, **changes})  # type: ignore[arg-type]


def test_an_output_has_16_bits_only_where_all_its_readers_have() -> None:
    """The first layer's output is read by both others."""
    units = [unit((1, 2)), unit((2,)), unit()]
    wide = total(units, [BITS_16] * 3)
    assert wide.noise == pytest.approx(0.3) and wide.cycles == 60
    half = total(units, [BITS_16, BITS_16, BITS_8])
    assert half.noise == pytest.approx(0.3 + 0.2 * 3) and half.cycles == 52
    assert not search.search(units).exact  # it branches
    assert search.search([unit((1,)), unit((2,)), unit()]).exact


def test_long_networks_are_thinned_out_and_that_is_said() -> None:
    import random

    rng = random.Random(0)
    units = [
        unit(
            (i + 1,) if i < 59 else (),
            flash=(rng.uniform(1, 5), rng.uniform(5, 10), rng.uniform(5, 12)),
            weight_noise=(rng.uniform(0.1, 1), rng.uniform(0, 0.1), rng.uniform(0, 0.1)),
        )
        for i in range(60)
    ]
    found = search.search(units)
    assert not found.exact and len(found.assignments) > 100
