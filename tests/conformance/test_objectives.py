"""Every kernel that could serve a layer gives the same bytes, and so does every choice of `--optimize`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance import machine as machines
from conformance.machine import Machine
from models import digits_int8_tflite

from edgeq.graph import Graph
from edgeq.kernels import Objective, Pick, Program, Selection, candidates
from edgeq.optimize import compile_program, computed
from edgeq.reference import Reference
from edgeq.selection import select
from edgeq.target import Core
from edgeq.tflite import parse


def hold(machine: Machine, model: bytes, selections: list[Selection], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled with each of these selections, all run the same inputs."""
    graphs = [parse(model, name="network") for _ in selections]
    of = {id(graph): selection for graph, selection in zip(graphs, selections, strict=True)}

    def compiled(graph: Graph, core: Core) -> Program:
        return compile_program(graph, core, of[id(graph)])

    monkeypatch.setattr(machines, "compile_program", compiled)
    reference, loaded = Reference(model, graphs[0]), machine.load_many(graphs)
    rng = np.random.default_rng(5)
    for _ in range(2):
        inputs = [rng.integers(-128, 128, graphs[0].tensors[i].shape).astype(np.int8) for i in graphs[0].inputs]
        wanted = [array.tobytes() for array in reference.run(inputs)]
        for each, selection in zip(loaded, selections, strict=True):
            got = [array.tobytes() for array in each.run(inputs)]
            kernels = [step.kernel.symbol for step in each.program.steps]
            assert got == wanted, (selection.objective, kernels)
    for each in loaded:
        each.close()


def selections_of(model: bytes, core: Core) -> list[Selection]:
    """Each objective's, and for as long as there are more rows: every layer's next one."""
    graph = computed(parse(model))
    rows = candidates(graph, core)
    turns = [
        Selection(picks={at: Pick(each[min(turn, len(each) - 1)], "next") for at, each in enumerate(rows)})
        for turn in range(max(map(len, rows)))
    ]
    return [*turns, *(select(graph, core, objective) for objective in Objective)]


@pytest.mark.parametrize("machine", ["host", "core", "m0plus"], indirect=True)
def test_whatever_serves_the_digits_gives_the_same_bytes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    model = digits_int8_tflite()
    hold(machine, model, selections_of(model, machine.core), monkeypatch)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("machine", ["core"], indirect=True)
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_whatever_serves_the_reference_models_gives_the_same_bytes(
    machine: Machine, name: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = (shared / "mlperf_tiny" / f"{name}_int8.tflite").read_bytes()
    hold(machine, model, selections_of(model, machine.core), monkeypatch)
