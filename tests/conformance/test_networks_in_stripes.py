"""Networks in stripes, bit for bit on host and core."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conformance.machine import Machine
from planes import plane_network

from edgeq.kernels import Program
from edgeq.memory import Arrangement, arrange
from edgeq.memory.rows import regions, schedule
from edgeq.memory.stripes import in_stripes
from edgeq.reference import Reference
from edgeq.tflite import parse


def _compare(machine: Machine, seeds: Sequence[int], rows: int) -> None:
    """Each network as one region in stripes of so many rows."""

    def striped(program: Program) -> Arrangement:
        (region,) = [r for r in regions(program.graph, 0, 40) if r.end == len(program.steps)]
        made = in_stripes(program, schedule(region, rows), machine.core)
        assert made is not None
        return arrange(made)

    models = [plane_network(seed) for seed in seeds]
    graphs = [parse(model) for model in models]
    rng = np.random.default_rng(1)
    seen = set()
    for model, graph, loaded in zip(models, graphs, machine.load_many(graphs, striped), strict=True):
        reference = Reference(model, graph)
        for _ in range(2):
            image = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
            (wanted,), (got,) = reference.run([image]), loaded.run([image])
            assert got.tobytes() == wanted.tobytes(), f"{np.count_nonzero(got != wanted)} of {got.size} differ"
            seen.add(wanted.tobytes())
        loaded.close()
    assert len(seen) > len(models)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("machine", ["host"], indirect=True)
def test_stripes_equal_the_reference(machine: Machine, rows: int) -> None:
    _compare(machine, range(100 * rows, 100 * rows + 8), rows)


@pytest.mark.parametrize("machine", ["core"], indirect=True)
def test_stripes_equal_the_reference_on_a_microcontroller(machine: Machine) -> None:
    _compare(machine, range(500, 504), 1)


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["sanitized", "core-watched", "m0plus", "helium"], indirect=True)
def test_stripes_equal_the_reference_on_every_machine(machine: Machine) -> None:
    _compare(machine, range(600, 603), 2)
