"""A case: a small model and inputs for it; and what holds it against the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from conformance.machine import Loaded, Machine
from conformance.overlapped import overlapped
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from edgeq.graph import DType, Graph
from edgeq.kernels import choose
from edgeq.reference import Reference
from edgeq.target import Core
from edgeq.tflite import parse

Array = npt.NDArray[Any]

EXTREMES = (-128, 127, 0)

# Hypothesis draws constants from the source of every module that happens to be loaded, seeded or not: a case that fails
# in the whole suite would not come up again in its file alone. Without them the cases are the same everywhere.
providers._get_local_constants = lambda: providers._local_constants


@dataclass(frozen=True)
class Case:
    """One model and how it was made.

    Attributes:
        model: the file's bytes.
        about: for people who read a failure.
        engine: whose reference kernels say what is right: LiteRT's where 2.14 lacks the operator.
        expected: for each run the outputs, where no interpreter can say: then another oracle has.
        ulps: units in the last place (of the larger) by which floats may differ: what the kernel's row says.
        near: by how much of the largest (or 1, where that is less) floats may differ, beside `ulps`.
        inputs: for each run one array per model input; without them `held` makes extreme and random ones.
    """

    model: bytes = field(repr=False)
    about: dict[str, object]
    inputs: tuple[tuple[Array, ...], ...] = field(default=(), repr=False)
    engine: Literal["tflite-runtime", "litert"] = "tflite-runtime"
    expected: tuple[tuple[Array, ...], ...] = field(default=(), repr=False)
    ulps: int = 0
    near: float = 0.0

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis shows of a failing case: not the file's bytes."""
        printer.text(f"Case({self.about})")


_LIMITS = {
    DType.INT64: (-(1 << 40), 1 << 40),
    DType.UINT8: (0, 255),
    DType.INT16: (-32768, 32767),
    DType.BOOL: (0, 1),
    DType.INT32: (-(1 << 31), (1 << 31) - 1),
}


def fill(graph: Graph, seed: int) -> tuple[tuple[Array, ...], ...]:
    """Inputs for the model: all lowest, all highest, random, and mostly extremes with random between."""
    rng = np.random.default_rng(seed)
    runs: list[tuple[Array, ...]] = []
    for mode in range(4):
        arrays = []
        for index in graph.inputs:
            tensor = graph.tensors[index]
            low, high = _LIMITS.get(tensor.dtype, (-128, 127))
            if tensor.dtype is DType.FLOAT32:
                arrays.append((rng.standard_normal(tensor.shape) * (10.0 ** rng.integers(-3, 4))).astype(np.float32))
                continue
            values = rng.integers(low, high + 1, tensor.shape)
            if mode == 3:
                values = np.where(rng.random(tensor.shape) < 0.7, rng.choice((low, high), tensor.shape), values)
            if mode < 2:
                values = np.full(tensor.shape, (low, high)[mode])
            arrays.append(values.astype(tensor.dtype.numpy))
        runs.append(tuple(arrays))
    return tuple(runs)


def held(machine: Machine, case: Case, seed: int = 0) -> int:
    """Run a case on the machine, input over output, and by the reference; every byte of every output must be equal.

    Returns:
        The number of runs.
    """
    (loaded,) = machine.load_many([parse(case.model, name="case")], overlapped)
    try:
        return compare(loaded, case, seed)
    finally:
        loaded.close()


def compare(loaded: Loaded, case: Case, seed: int) -> int:
    """Run a compiled case; every byte must be equal to the reference's.

    Returns:
        The number of runs.
    """
    graph = parse(case.model, name="case")
    reference = None if case.expected else Reference(case.model, graph, engine=case.engine)
    runs = case.inputs or fill(graph, seed)
    for number, inputs in enumerate(runs):
        wanted = case.expected[number] if reference is None else reference.run(inputs)
        got = loaded.run(inputs)
        for position, (a, b) in enumerate(zip(got, wanted, strict=True)):
            if a.tobytes() == b.tobytes():
                continue
            differ = _apart(a, b, case).reshape(-1)
            where = np.flatnonzero(differ)
            if not where.size:
                continue
            kernels = [step.kernel.symbol for step in loaded.program.steps]
            raise AssertionError(
                f"{where.size} of {a.size} elements of output {position} in run {number} differ ({kernels}): at "
                f"{where[:8]} got {a.reshape(-1)[where[:8]]}, reference {b.reshape(-1)[where[:8]]}; {case.about}"
            )
    return len(runs)


def _apart(a: Array, b: Array, case: Case) -> Array:
    """Where two arrays differ by more than the case allows; zeros of both signs, NaNs are equal."""
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    allowed = case.ulps * np.spacing(np.maximum(np.abs(a), np.abs(b))) + case.near * max(1.0, float(np.max(np.abs(b))))
    apart = np.abs(a.astype(np.float64) - b) > allowed
    return np.asarray(apart & ~((a == b) | (np.isnan(a) & np.isnan(b))) | (np.isnan(a) != np.isnan(b)))


def drawn(strategy: st.SearchStrategy[Case], examples: int, core: Core) -> list[tuple[Case, int]]:
    """`examples` cases of a strategy that the kernel table accepts, each with a seed; the same each time."""
    found: list[tuple[Case, int]] = []

    @_settings(examples, Phase.explicit, Phase.generate)
    @given(strategy, st.integers(0, 2**16))
    def each(case: Case, seed: int) -> None:
        graph = parse(case.model)
        assume(all(choose(graph, op, core).kernel for op in graph.ops))  # scales that a rule refuses
        found.append((case, seed))

    each()
    return found


Row = tuple[str, str, str]
"""A row of the kernel table: operator, symbol, types."""


def hold(machine: Machine, strategy: st.SearchStrategy[Case], examples: int) -> Counter[Row]:
    """Hold `examples` cases of a strategy against the reference, all compiled together.

    When one fails, they are run again one by one, so that hypothesis can show the smallest.

    Returns:
        How many cases chose each row.
    """
    rows: Counter[Row] = Counter()
    cases = drawn(strategy, examples, machine.core)
    loaded = machine.load_many([parse(case.model, name="case") for case, _ in cases], overlapped)
    try:
        for model, (case, seed) in zip(loaded, cases, strict=True):
            compare(model, case, seed)
            rows.update({(s.kernel.op, s.kernel.symbol, s.kernel.types) for s in model.program.steps})
    except AssertionError:
        _shrunk(machine, strategy, examples)
        raise
    finally:
        for model in loaded:
            model.close()
    return rows


def _shrunk(machine: Machine, strategy: st.SearchStrategy[Case], examples: int) -> None:
    @_settings(examples, Phase.explicit, Phase.generate, Phase.shrink)
    @given(strategy, st.integers(0, 2**16))
    def each(case: Case, seed: int) -> None:
        graph = parse(case.model)
        assume(all(choose(graph, op, machine.core).kernel for op in graph.ops))
        held(machine, case, seed)

    each()


def _settings(examples: int, *phases: Phase) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        print_blob=False,
    )


Values = st.SearchStrategy[Case]


def float32(value: float) -> float:
    """The nearest float32."""
    return float(np.float32(value))


def scales(low: int = -10, high: int = 2) -> st.SearchStrategy[float]:
    """float32 scales from 2**low to 2**high: any mantissa, and bare powers of two."""
    mantissa = st.one_of(st.just(1.0), st.integers(0, (1 << 23) - 1).map(lambda m: 1 + m / (1 << 23)))
    return st.builds(lambda e, m: float32(2.0**e * m), st.integers(low, high), mantissa)


def zero_points(low: int = -128, high: int = 127) -> st.SearchStrategy[int]:
    """Zero points, the extreme ones often."""
    return st.one_of(st.sampled_from((low, high, (low + high + 1) // 2)), st.integers(low, high))


ACTIVATIONS = st.sampled_from(("NONE", "RELU", "RELU6", "RELU_N1_TO_1"))


def rngs() -> st.SearchStrategy[np.random.Generator]:
    """Sources of bulk data; one number is all that shrinks."""
    return st.integers(0, 2**16).map(np.random.default_rng)


def int8_values(rng: np.random.Generator, shape: Sequence[int], low: int = -128) -> Array:
    """Constants: random, all lowest, all highest, or extremes only."""
    mode = rng.integers(0, 6)
    if mode == 0:
        return np.full(shape, low, np.int8)
    if mode == 1:
        return np.full(shape, 127, np.int8)
    if mode == 2:
        return rng.choice(np.array((low, 127), np.int8), shape)
    return rng.integers(low, 128, shape).astype(np.int8)
