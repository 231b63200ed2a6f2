"""Every operator of the table equals tflite-runtime 2.14's reference kernels in every byte."""

from __future__ import annotations

import pytest
from conformance.cases import Case, hold
from conformance.machine import Machine, board, portable
from conformance.operators import OPERATORS
from hypothesis import HealthCheck, given, settings

from edgeq.kernels import KERNELS, choose, operators
from edgeq.tflite import parse

_FEW, _MANY = 12, 100


@pytest.mark.parametrize("examples", [_FEW, pytest.param(_MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPERATORS)
def test_host_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.parametrize("machine", ["core"], indirect=True)
@pytest.mark.parametrize("examples", [6, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPERATORS)
def test_cortex_m4_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.parametrize("machine", ["core-watched"], indirect=True)
@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [name for name in OPERATORS if name.startswith(("CONV", "DEPTHWISE", "FULLY", "ADD"))])
def test_words_are_loaded_in_groups_from_aligned_addresses_only(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core-zig", "core-portable"], indirect=True)
@pytest.mark.parametrize("name", OPERATORS)
def test_cortex_m4_by_the_other_compiler_and_without_dsp(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 12)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["sanitized"], indirect=True)
@pytest.mark.parametrize("name", OPERATORS)
def test_no_case_is_undefined_behaviour_in_c(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 12)


def test_every_row_is_reached() -> None:
    """A row that no case chooses would be held to nothing."""
    special = board().core
    reached: set[tuple[str, str, str]] = set()

    def note(case: Case) -> None:
        graph = parse(case.model)
        for op in graph.ops:
            for core in (special, portable(special)):
                kernel = choose(graph, op, core).kernel
                if kernel is not None:
                    reached.add((kernel.op, kernel.types, kernel.symbol))

    for strategy in OPERATORS.values():
        each = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        each(given(strategy)(note))()
    assert reached == {(k.op, k.types, k.symbol) for k in KERNELS}


def test_every_operator_has_a_strategy() -> None:
    words = {word.strip() for name in OPERATORS for word in name.removesuffix(" from float").split(",")}
    assert {word for word in words if word.isupper()} == set(operators())
