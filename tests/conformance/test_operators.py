"""Every operator of the table equals tflite-runtime 2.14's reference kernels in every byte."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from conformance.cases import Case, Row, hold
from conformance.machine import HostMachine, Machine
from conformance.operators import OPERATORS
from conformance.strategies_wide import WIDE, strips
from conformance.test_paired_products import CONVOLUTIONS, _convolution
from hypothesis import HealthCheck, given, settings

from edgeq import resources, target
from edgeq.kernels import KERNELS, choose, depthwise_strips, operators
from edgeq.tflite import parse

_FEW, _MANY = 12, 60
_DOCS = Path(__file__).parents[2] / "docs"
_COUNT = re.compile(r"\| \d+ \|(?= [^|]*\|$)", re.MULTILINE)
_RAN: dict[str, Counter[Row]] = {}
"""What the default host run has held, by strategy."""
_SPECIAL = tuple(
    n for n in OPERATORS if n.startswith(("CONV", "DEPTHWISE", "FULLY", "ADD", "AVERAGE_POOL")) and "float" not in n
)


_HELIUM = {
    **WIDE,
    **{n: OPERATORS[n] for n in ("AVERAGE_POOL_2D", "MAX_POOL_2D")},
    **{n: OPERATORS[n] for n in _SPECIAL if "int" not in n},
}
"""What has kernels for Helium."""


def _sampled(names: Iterable[str]) -> list[str]:
    """All that have special kernels and every fourth of the others: a sample for slower machines."""
    return [n for i, n in enumerate(names) if n in _SPECIAL or i % 4 == 0]


@pytest.mark.parametrize("examples", [_FEW, pytest.param(_MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OPERATORS)
def test_host_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    rows = hold(machine, OPERATORS[name], examples)
    if examples == _FEW:
        _RAN[name] = rows


@pytest.mark.parametrize("machine", ["core"], indirect=True)
@pytest.mark.parametrize("examples", [4, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", _sampled(OPERATORS))
def test_cortex_m4_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.parametrize("machine", ["m0plus"], indirect=True)
@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [n for n in _SPECIAL if "int" not in n and not n.startswith("ADD")])
def test_cortex_m0plus_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["m0plus-zig"], indirect=True)
@pytest.mark.parametrize("name", _sampled(OPERATORS))
def test_cortex_m0plus_by_the_other_compiler(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 4)


@pytest.mark.parametrize("machine", ["core-watched"], indirect=True)
@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [n for n in _SPECIAL if "int" not in n])
def test_words_are_loaded_in_groups_from_aligned_addresses_only(machine: Machine, name: str, examples: int) -> None:
    hold(machine, OPERATORS[name], examples)


@pytest.mark.parametrize("machine", ["core", pytest.param("core-zig", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("examples", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_depthwise_planes_of_several_strips(machine: Machine, examples: int) -> None:
    hold(machine, strips(), examples)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core"], indirect=True)
def test_every_loop_over_strips(machine: Machine) -> None:
    planes = ((20, 21, 8, 1), (12, 13, 16, 1), (17, 12, 32, 1), (13, 14, 64, 1), (15, 9, 128, 1))
    planes += ((3, 3, 12, 1), (19, 13, 12, 1), (20, 20, 4, 2), (25, 14, 8, 2))
    rows = Counter(kernel for plane in planes for _, _, kernel in hold(machine, strips(plane), 4))
    assert set(rows) >= {k.types for k in depthwise_strips.KERNELS}


@pytest.mark.parametrize("machine", ["helium"], indirect=True)
@pytest.mark.parametrize("examples", [4, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", _HELIUM)
def test_cortex_m55_equals_the_reference(machine: Machine, name: str, examples: int) -> None:
    hold(machine, _HELIUM[name], examples)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["helium-zig"], indirect=True)
@pytest.mark.parametrize("name", _HELIUM)
def test_cortex_m55_by_the_other_compiler(machine: Machine, name: str) -> None:
    hold(machine, _HELIUM[name], 8)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["m7", "m33"], indirect=True)
@pytest.mark.parametrize("name", [n for n in _SPECIAL if "int" not in n])
def test_cortex_m7_and_m33_run_the_cortex_m4s_rows(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 3)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["core-zig", "core-portable"], indirect=True)
@pytest.mark.parametrize("name", _sampled(OPERATORS))
def test_cortex_m4_by_the_other_compiler_and_without_dsp(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 12)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["sanitized"], indirect=True)
@pytest.mark.parametrize("name", OPERATORS)
def test_no_case_is_undefined_behaviour_in_c(machine: Machine, name: str) -> None:
    hold(machine, OPERATORS[name], 12)


def test_clang_has_no_warning_where_gcc_had_none(machine: Machine, tmp_path: Path) -> None:
    """Every model and kernel that this run has compiled, in one start of the compiler."""
    assert isinstance(machine, HostMachine)
    hold(machine, OPERATORS["ADD"], 1)
    ziglang = pytest.importorskip("ziglang")
    headers = Path(ziglang.__file__).parent / "lib" / "include"
    libc = resources.folder("firmware_templates") / "runtime" / "libc"
    clang = (sys.executable, "-m", "ziglang", "clang", "-fsyntax-only", "-ffreestanding")
    flags = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-isystem", headers, "-I", libc, "-I.")
    narrowing = tmp_path / "narrowing.c"
    narrowing.write_text("signed char f(int x);\nsigned char f(int x) { return x; }\n")
    sources = [*sorted(machine.folder.glob("*.c")), *sorted(machine.folder.glob("kernels/*.c"))]
    for wrong, files in ((False, sources), (True, [narrowing])):
        done = subprocess.run([*clang, *flags, *files], cwd=machine.folder, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == wrong, done.stderr[-4000:]


def test_every_row_was_reached_and_the_page_of_operators_says_so() -> None:
    """A row that no case chooses would be held to nothing. Special rows are held on the core."""
    if set(_RAN) != set(OPERATORS):
        pytest.skip("a part of the strategies was run: what passed isn't all known")
    passed: Counter[Row] = sum(_RAN.values(), Counter())
    portable_rows = {(k.op, k.symbol, k.types) for k in KERNELS if not k.requires}
    assert portable_rows - set(passed) == set()
    spec = importlib.util.spec_from_file_location("operator_reference", _DOCS / "operator_reference.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    # How many of the cases fall to each row changes with hypothesis' version; which rows there are doesn't.
    written, now = (
        (_COUNT.sub("|", text)) for text in ((_DOCS / "operators.md").read_text("utf-8"), script.page(passed))
    )
    assert written == now, "run: PYTHONPATH=tests python docs/operator_reference.py"


@pytest.mark.parametrize(
    ("name", "feature", "strategies"),
    [
        ("nucleo-l4r5zi", "dsp", _SPECIAL),
        ("corstone-300", "mve", tuple(_HELIUM)),
        ("raspberry-pi-pico", "armv6-m", _SPECIAL),
    ],
)
def test_every_special_row_is_reached(name: str, feature: str, strategies: tuple[str, ...]) -> None:
    """On the core, among the cases of the operators that have special rows."""
    special = target.load(name).core
    rows = {(k.op, k.symbol) for k in KERNELS if feature in k.requires}
    reached: set[tuple[str, str]] = set()

    def note(case: Case) -> None:
        graph = parse(case.model)
        for op in graph.ops:
            kernel = choose(graph, op, special).kernel
            if kernel is not None:
                reached.add((kernel.op, kernel.symbol))

    for at in range(len(CONVOLUTIONS)):
        note(_convolution(at, True))
    for strategy in strategies:
        if rows <= reached:
            break
        each = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        each(given({**OPERATORS, **WIDE}[strategy])(note))()
    assert rows <= reached


def test_every_operator_has_a_strategy() -> None:
    words = {word.strip() for name in OPERATORS for word in name.removesuffix(" from float").split(",")}
    assert {word for word in words if word.isupper()} == set(operators())
