"""How long a network takes from a graph to an image, and how much memory: many layers, and many weights.

    python benchmarks/compile_time.py [--layers 50 200 300 800] [--megabytes 10]

Each network is compiled in a process of its own. `lower` is choosing kernels and packing weights, `plan` placing the
arena, `generate` writing the source tree, `build` compiling and linking with zig cc and an empty cache for
nucleo-l4r5zi; of many layers, `generate` and `build` do all of the earlier steps again. Networks of many weights fit no
microcontroller's flash here: they become the static program for Linux. Times are seconds of processor,
which the compiler spreads over several; memory is in MB: the highest resident set of the process, and of its largest
child.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeq import codegen, memory, optimize, pipeline, target
from edgeq.graph import DType, Graph, Op, QuantParams, Tensor
from edgeq.toolchains.program import build_program

random = np.random.default_rng(0)
TARGET = "nucleo-l4r5zi"


class Chain:
    """A graph whose layers follow each other."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.end = self.tensor(shape, None, 0.1, -128)

    def tensor(self, shape: tuple[int, ...], data: npt.NDArray[np.generic] | None, scale: float, zero: int = 0) -> int:
        """A tensor; constants have data."""
        dtype = DType.INT32 if data is not None and data.dtype == np.int32 else DType.INT8
        quant = QuantParams(np.float32([scale]), np.int64([zero]))
        self.tensors.append(Tensor(len(self.tensors), f"t{len(self.tensors)}", shape, dtype, quant, data))
        return len(self.tensors) - 1

    def layer(self, kind: str, kernel: tuple[int, ...], out: tuple[int, ...]) -> None:
        """One layer with weights of that shape, and RELU."""
        weights = self.tensor(kernel, random.integers(-100, 100, kernel).astype(np.int8), 0.01)
        bias = self.tensor((out[-1],), np.zeros(out[-1], np.int32), 0.001)
        options: dict[str, object] = {"fused_activation_function": "RELU"}
        if kind != "FULLY_CONNECTED":
            options |= {"stride_w": 1, "stride_h": 1, "padding": "SAME", "depth_multiplier": 1}
            options |= {"dilation_w_factor": 1, "dilation_h_factor": 1}
        made = self.tensor(out, None, 0.1, -128)
        self.ops.append(Op(len(self.ops), kind, 1, (self.end, weights, bias), (made,), options))
        self.end = made

    def graph(self, name: str) -> Graph:
        """The model."""
        return Graph(name, "", "0" * 64, 0, tuple(self.tensors), tuple(self.ops), (0,), (self.end,))


def many_layers(count: int) -> Graph:
    """Depthwise and pointwise convolutions in turn, as in MobileNet, of 16 to 48 channels."""
    side, channels = 8, 16
    made = Chain((1, side, side, channels))
    for i in range(count):
        if i % 2 == 0:
            made.layer("DEPTHWISE_CONV_2D", (1, 3, 3, channels), (1, side, side, channels))
        else:
            after = 16 + 16 * (i // 2 % 3)
            made.layer("CONV_2D", (after, 1, 1, channels), (1, side, side, after))
            channels = after
    return made.graph(f"layers{count}")


def many_weights(megabytes: int) -> Graph:
    """Square FULLY_CONNECTED layers of a megabyte each."""
    made = Chain((1, 1024))
    for _ in range(megabytes):
        made.layer("FULLY_CONNECTED", (1024, 1024), (1, 1024))
    return made.graph(f"weights{megabytes}")


def _processor_seconds() -> float:
    """Of this process and of those that it has waited for: what else runs here doesn't count."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(kind: str, count: int) -> dict[str, float]:
    """Compile one network in this process."""
    graph = many_layers(count) if kind == "layers" else many_weights(count)
    model = pipeline.Model(b"", graph)
    found: dict[str, float] = {}
    core = target.load(TARGET).core

    def spent(name: str, since: float) -> float:
        found[name] = _processor_seconds() - since
        return _processor_seconds()

    at = _processor_seconds()
    if kind == "layers":
        program = optimize.compile_program(graph, core)
        at = spent("lower", at)
        memory.plan_memory(program.graph, program.lowerings)
        at = spent("plan", at)
        pipeline.generate(model, TARGET)
        at = spent("generate", at)
        with tempfile.TemporaryDirectory() as cache:
            pipeline.build(model, TARGET, cache=Path(cache))
        spent("build", at)
    else:
        board = target.load("linux-x86-64")
        program = optimize.compile_program(graph, board.core)
        at = spent("lower", at)
        plan = memory.plan_memory(program.graph, program.lowerings)
        at = spent("plan", at)
        tree = codegen.generate_program(program, plan, board)
        at = spent("generate", at)
        with tempfile.TemporaryDirectory() as cache:
            build_program(tree, board.core, cache=Path(cache))
        spent("build", at)
    own, child = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**found, "own_mb": own, "child_mb": child}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="how long a network takes to compile")
    parser.add_argument("--layers", type=int, nargs="*", default=[50, 200, 300, 800])
    parser.add_argument("--megabytes", type=int, nargs="*", default=[10])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return 0
    names = ("lower", "plan", "generate", "build", "own_mb", "child_mb")
    print(f"{'network':>14} " + " ".join(f"{name:>9}" for name in names))
    wanted = [("layers", n) for n in options.layers] + [("megabytes", n) for n in options.megabytes]
    for kind, count in wanted:
        command = [sys.executable, __file__, "--one", kind, str(count)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = (f"{found[name]:.2f}" if name in found else "" for name in names)
        print(f"{count:>4} {kind:<9} " + " ".join(f"{cell:>9}" for cell in cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
