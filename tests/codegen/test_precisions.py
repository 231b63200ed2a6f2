"""A model with several precisions as C: one copy of the weights, the precision chosen for each inference."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from conformance.machine import board, portable
from models import digits
from nested_models import nested_digits_throughout

from edgeq import tflite
from edgeq.codegen import generate, model_files
from edgeq.codegen.tree import Manifest
from edgeq.graph import Graph
from edgeq.kernels import Program, lower
from edgeq.memory import plan_memory
from edgeq.optimize import compile_program
from edgeq.reference import Reference

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-O1")


def program_of(graph: Graph, special: bool) -> Program:
    return compile_program(graph, board().core if special else portable(board().core))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return tflite.parse(nested_digits_throughout().tflite, name="digits")


@pytest.fixture(scope="module")
def library(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on PATH")
    folder = tmp_path_factory.mktemp("precisions")
    program = program_of(graph, special=False)
    for name, content in model_files(program, plan_memory(program.graph, program.lowerings)).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    sources = [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.c"))]
    argv = ["gcc", *STRICT, "-shared", "-fPIC", "-I.", *sources, "-o", "model.so"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(folder / "model.so"))
    loaded.model_input.restype = loaded.model_output.restype = ctypes.c_void_p
    return loaded


class Arena:
    """An arena, and inferences in it."""

    def __init__(self, library: Any, graph: Graph) -> None:
        self.library, self.graph = library, graph
        self.bytes = (ctypes.c_uint8 * (1 << 16))()
        self.base = ctypes.c_void_p(-(-ctypes.addressof(self.bytes) // 16) * 16)

    def load(self, sample: np.ndarray) -> None:
        ctypes.memmove(self.library.model_input(self.base, 0), sample.tobytes(), sample.nbytes)

    def output(self) -> bytes:
        size = self.graph.tensors[self.graph.outputs[0]].size_bytes
        return ctypes.string_at(self.library.model_output(self.base, 0), size)


def samples() -> list[np.ndarray]:
    images, _ = digits()
    return [np.rint(image[None] * 255 - 128).astype(np.int8) for image in images[300:308]]


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_an_inference_at_a_precision_is_that_precision_alone(library: Any, graph: Graph, bits: int) -> None:
    plain = tflite.at_precision(nested_digits_throughout().tflite, bits)
    reference = Reference(plain, tflite.parse(plain))
    arena = Arena(library, graph)
    for sample in samples():
        arena.load(sample)
        assert library.model_invoke_at(arena.base, bits) == 0
        assert arena.output() == reference.run([sample])[0].tobytes()


def test_precisions_may_change_from_one_inference_to_the_next(library: Any, graph: Graph) -> None:
    arena, distinct = Arena(library, graph), 0
    for sample in samples():
        seen: dict[int, bytes] = {}
        for bits in (8, 4, 2, 4, 8, 2):
            arena.load(sample)
            library.model_invoke_at(arena.base, bits)
            assert seen.setdefault(bits, arena.output()) == arena.output()
        arena.load(sample)
        library.model_invoke(arena.base)
        assert arena.output() == seen[8]
        distinct = max(distinct, len(set(seen.values())))
    assert distinct == 3, "outputs that are all the same prove nothing"


def test_a_precision_that_is_not_there_computes_nothing(library: Any, graph: Graph) -> None:
    arena = Arena(library, graph)
    arena.load(samples()[0])
    before = bytes(arena.bytes)
    for bits in (0, 1, 3, 16, 0xFFFFFFFF):
        assert library.model_invoke_at(arena.base, ctypes.c_uint(bits)) == -1
    assert bytes(arena.bytes) == before


@pytest.mark.parametrize("special", [False, True], ids=["portable", "dsp"])
def test_weights_are_there_once(graph: Graph, special: bool) -> None:
    program = program_of(graph, special)
    plan = plan_memory(program.graph, program.lowerings)
    files = model_files(program, plan)
    source, header = files["model.c"].decode(), files["model.h"].decode()
    assert "#define MODEL_PRECISIONS { 8, 4, 2 }" in header and "#define MODEL_PRECISION_COUNT 3u" in header
    layers = [graph.ops[i].index for i in range(len(graph.ops)) if graph.ops[i].kind in ("CONV_2D", "FULLY_CONNECTED")]
    for index in layers:
        assert len(re.findall(rf"layer_{index}_weights\w*\[\d+\] WEIGHTS", source)) == 1
        assert len(re.findall(rf"layer_{index}_bias\w*\[\d+\] WEIGHTS", source)) == 3
    plain = lower(tflite.parse(tflite.at_precision(nested_digits_throughout().tflite, 8)), board().core)
    if special:
        more = program.constant_bytes("weights") - plain.constant_bytes("weights")
        assert 0 < more <= 2 * 4 * sum(program.graph.tensors[graph.ops[i].inputs[2]].elements + 7 for i in layers)


def test_the_manifest_tells_the_precisions(graph: Graph) -> None:
    program = program_of(graph, special=True)
    tree = generate(program, plan_memory(program.graph, program.lowerings), board())
    assert tree.manifest.precisions == (8, 4, 2)
    assert Manifest.from_json(tree.manifest.to_json()).precisions == (8, 4, 2)
    assert {"kernels/mat_mul_top4_dsp.S", "kernels/mat_mul_top2_dsp.S", "kernels/mat_vec_top4_dsp.S"} <= set(tree.files)
