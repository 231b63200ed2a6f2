"""What `--optimize` chooses: held against choices found by trying all, and `check` against the build."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args, get_type_hints

import pytest
from models import digits_int8_tflite
from nested_models import nested_digits
from towers import towers

from edgeq import pipeline, target
from edgeq.check import Limits
from edgeq.cli.context import OBJECTIVES
from edgeq.codegen.tree import Manifest
from edgeq.errors import UsageError
from edgeq.graph import Graph
from edgeq.kernels import FIRST_ROWS, Lowering, Objective, candidates, lower
from edgeq.memory import plan_in_order
from edgeq.optimize import compile_program, computed
from edgeq.selection import compile_model, select
from edgeq.selection.fastest import MOST_WEIGHTS, fastest
from edgeq.selection.leanest import leanest
from edgeq.selection.options import Option, options_of
from edgeq.selection.smallest import _Search, smallest
from edgeq.target import Core
from edgeq.tflite import parse

CORES = ("nucleo-l4r5zi", *(pytest.param(n, marks=pytest.mark.slow) for n in ("raspberry-pi-pico", "corstone-300")))
MODES = [each for each in Objective if each is not Objective.BALANCED]


@pytest.fixture(scope="module")
def core() -> Core:
    return target.load("nucleo-l4r5zi").core


@pytest.fixture(scope="module", params=["digits", "towers"])
def graph(request: pytest.FixtureRequest) -> Graph:
    return computed(parse(digits_int8_tflite() if request.param == "digits" else towers()))


def test_everywhere_the_same_names() -> None:
    names = tuple(each.value for each in Objective)
    assert names == OBJECTIVES
    assert set(get_args(get_type_hints(Limits)["optimize"])) == set(names)
    with pytest.raises(UsageError, match="'fast' is nothing that can be optimized for") as refused:
        pipeline.check(towers(), "nucleo-l4r5zi", optimize="fast")
    assert all(name in (refused.value.next_step or "") for name in names)


@pytest.mark.parametrize("board", CORES)
def test_the_first_candidate_is_what_is_taken_without_a_choice(graph: Graph, board: str) -> None:
    core = target.load(board).core
    firsts = [rows[0] for rows in candidates(graph, core)]
    assert firsts == [step.kernel for step in lower(graph, core).steps]
    assert select(graph, core, Objective.BALANCED) is FIRST_ROWS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("board", CORES)
def test_check_tells_what_is_built(graph: Graph, board: str, mode: Objective) -> None:
    model = towers() if len(graph.ops) == 5 else digits_int8_tflite()
    report, tree = pipeline.check(model, board, optimize=mode), pipeline.generate(model, board, optimize=mode.value)
    assert report.plan is not None
    assert report.plan.arena_bytes == tree.manifest.arena_bytes
    told = [(op.kernel, op.weights_bytes, op.why) for op in report.operators]
    layers = [(layer.kernel, layer.weights_bytes, layer.why) for layer in tree.manifest.layers]
    if mode is not Objective.RAM:
        assert told == layers
    else:  # layers that run in stripes are one layer of the build; `check` tells of each
        assert {layer for layer in layers if layer[0] != "edgeq_stripes"} <= set(told)
    assert report.objective.value == tree.manifest.optimize
    assert set(tree.manifest.choices) <= set(report.choices)
    assert Manifest.from_json(tree.manifest.to_json()) == tree.manifest
    assert report.to_json()["optimize"] == mode.value


def test_the_arena_is_as_small_as_that_of_any_choice(graph: Graph, core: Core) -> None:
    options = options_of(graph, core)
    assert sum(len(rows) > 1 for rows in options) >= 2
    every = (
        plan_in_order(graph, [option.lowering for option in chosen]).lower_bound_bytes for chosen in product(*options)
    )
    program = compile_program(graph, core, leanest(graph, options))
    least = plan_in_order(program.graph, program.lowerings).arena_bytes
    assert least == min(every)
    assert compile_model(graph, core, Objective.RAM).plan.arena_bytes <= least


def test_what_the_arena_does_not_need_stays(graph: Graph, core: Core) -> None:
    selection = leanest(graph, options_of(graph, core))
    whole = compile_program(graph, core, selection)
    arena = plan_in_order(whole.graph, whole.lowerings).arena_bytes
    for place in selection.picks:
        fewer = replace(selection, picks={at: pick for at, pick in selection.picks.items() if at != place})
        program = compile_program(graph, core, fewer)
        assert plan_in_order(program.graph, program.lowerings).arena_bytes > arena


@pytest.mark.parametrize("board", CORES)
def test_flash_is_as_little_as_that_of_any_choice(graph: Graph, board: str) -> None:
    core = target.load(board).core
    options = options_of(graph, core)
    search = _Search(core, options)
    least = min(search.flash_bytes(dict(enumerate(chosen))) for chosen in product(*options))
    picks = smallest(core, options).picks
    taken = {
        place: next(row for row in rows if place not in picks or row.kernel is picks[place].kernel)
        for place, rows in enumerate(options)
    }
    assert search.flash_bytes(taken) == least
    sets = sorted({mask & ~search._forced for rows in search._rows for mask, _, _ in rows} - {0})
    alone = sum(rows[0].constant_bytes for rows in options if len(rows) == 1)
    step_by_step = search._step_by_step(sets).total_bytes + alone
    assert least <= step_by_step <= search.flash_bytes({place: rows[0] for place, rows in enumerate(options)})


def row(option: Option, weights: int, cycles: float | None, error: float = 1.0) -> Option:
    kernel = replace(option.kernel, symbol=f"{weights}_{cycles}")
    return Option(kernel, Lowering(), weights, 0, cycles, error)


def test_cycles_are_bought_with_weights_where_a_byte_saves_most(core: Core) -> None:
    graph = computed(parse(towers()))
    some = options_of(graph, core)[0][0]
    bytes_ = sum(t.size_bytes for t in graph.tensors if t.is_constant)
    extra = MOST_WEIGHTS * bytes_
    options = (
        (row(some, 0, 1000.0), row(some, extra, 100.0), row(some, extra // 2, 500.0, 60.0)),  # one not surely faster
        (row(some, 0, 1000.0), row(some, extra, 50.0), row(some, 0, 700.0, 50.0)),
        (row(some, 0, 1000.0), row(some, 0, 900.0), row(some, 0, None)),  # costs nothing
        (row(some, 0, None), row(some, 0, 1.0)),  # no figure to hold it against
        (row(some, 0, 1000.0), row(some, 0, 995.0)),  # within the errors
    )
    found = fastest(graph, core, options)
    assert {place: pick.kernel.symbol for place, pick in found.picks.items()} == {1: f"{extra}_50.0", 2: "0_900.0"}
    assert any("1 layers would be faster" in note for note in found.notes)


def test_without_costs_the_order_of_the_table_is_kept_and_said(graph: Graph) -> None:
    other = target.load("nucleo-h743zi2").core
    found = select(graph, other, Objective.LATENCY)
    assert not found.picks
    assert "no kernel's cycles were fitted on" in found.notes[0]


@pytest.mark.parametrize("mode", MODES)
def test_layers_with_several_precisions_keep_their_kernels(core: Core, mode: Objective) -> None:
    model = nested_digits().tflite
    graph = parse(model)
    inside = {op.index for op in graph.ops if {layer.weights for layer in graph.nested.layers} & set(op.inputs)}
    assert inside
    made, plain = compile_model(graph, core, mode).program, compile_model(graph, core).program
    for place in inside:
        assert made.steps[place].kernel == plain.steps[place].kernel
        assert all(made.lower[b].steps[place].kernel == plain.lower[b].steps[place].kernel for b in made.lower)
    report = pipeline.check(model, "nucleo-l4r5zi", optimize=mode)
    assert report.plan is not None
    assert report.plan.arena_bytes <= compile_model(graph, core, mode).plan.arena_bytes
