"""Fit each kernel's cycles on the virtual board, and write them to edgeq/selection/costs.toml.

    python benchmarks/fit_costs.py [--check]

Layers of many shapes are built into a few firmware images and run on the virtual NUCLEO-L4R5ZI; coefficients that
aren't negative are fitted to the smallest relative error. Twice the root mean square of a kernel's
residuals, but at least 1 %, is its error band. None of
the layers is taken from the reference models, which the estimate is tested against. Run it after each change of a
kernel; `--check` writes nothing and exits 1 when a kernel's cycles are on average 5 % off what it says.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeq import pipeline, target
from edgeq.codegen import generate
from edgeq.graph import DType, Graph, Op, QuantParams, Tensor
from edgeq.kernels import KERNELS, Pick, Selection, candidates, lower
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire
from edgeq.memory import plan_memory
from edgeq.selection.cost import COSTS_FILE, KernelCost, costs, counts, cycles
from edgeq.toolchains.build import build_firmware

TARGET = "nucleo-l4r5zi"
LEAST_PERCENT = 1.0
"""Of a band: five layers without any residual don't prove that there is none."""
MOST_ERROR_PERCENT = 30.0
"""A kernel whose layers a fit misses by more has no estimate: what it takes depends on more than is counted."""
random = np.random.default_rng(0)
Sample = tuple[Mapping[str, float], float]
Options = Mapping[str, object]


class Layers:
    """A graph whose layers don't depend on each other: each reads one of the model's inputs, all outputs are kept."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.inputs: dict[tuple[int, ...], int] = {}
        self.outputs: list[int] = []

    def tensor(
        self, shape: tuple[int, ...], data: npt.NDArray[np.generic] | None = None, scale: float = 0.1, zero: int = 0
    ) -> int:
        """A tensor per shape; constants have data and, with several values, one scale per channel."""
        dtype = DType.INT32 if data is not None and data.dtype == np.int32 else DType.INT8
        quant = QuantParams(np.float32([scale]), np.int64([zero]))
        self.tensors.append(Tensor(len(self.tensors), f"t{len(self.tensors)}", shape, dtype, quant, data))
        return len(self.tensors) - 1

    def input(self, shape: tuple[int, ...]) -> int:
        """The model's input of that shape."""
        if shape not in self.inputs:
            self.inputs[shape] = self.tensor(shape)
        return self.inputs[shape]

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        out: tuple[int, ...],
        options: Options,
        scale: float = 0.1,
        zero: int = 0,
    ) -> None:
        """One layer."""
        made = self.tensor(out, scale=scale, zero=zero)
        self.ops.append(Op(len(self.ops), kind, 1, tuple(inputs), (made,), dict(options)))
        self.outputs.append(made)

    def weighted(
        self, kind: str, shape: tuple[int, ...], kernel: tuple[int, ...], stride: int = 1, same: bool = True
    ) -> None:
        """A layer with int8 weights with RELU, and one without: CONV_2D, DEPTHWISE_CONV_2D (kernel 1,h,w,c) or
        FULLY_CONNECTED (kernel out,in)."""
        out_c = kernel[3] if kind == "DEPTHWISE_CONV_2D" else kernel[0]
        weights = self.tensor(kernel, random.integers(-100, 100, kernel).astype(np.int8), 0.01)
        bias = self.tensor((out_c,), np.zeros(out_c, np.int32), 0.001)
        for relu in (True, False):
            options: Options = {"fused_activation_function": "RELU" if relu else "NONE"}
            self._weighted(kind, shape, (weights, bias), kernel, stride, same, options)

    def _weighted(
        self,
        kind: str,
        shape: tuple[int, ...],
        constants: tuple[int, int],
        kernel: tuple[int, ...],
        stride: int,
        same: bool,
        options: Options,
    ) -> None:
        out_c = kernel[3] if kind == "DEPTHWISE_CONV_2D" else kernel[0]
        zero = -128 if options["fused_activation_function"] == "RELU" else 0
        inputs = (self.input(shape), *constants)
        if kind == "FULLY_CONNECTED":
            self.add(kind, inputs, (shape[0], out_c), options, zero=zero)
            return
        sides = [
            -(-s // stride) if same else (s - k) // stride + 1 for s, k in zip(shape[1:3], kernel[1:3], strict=True)
        ]
        window = {
            "stride_w": stride, "stride_h": stride, "padding": "SAME" if same else "VALID",
            "dilation_w_factor": 1, "dilation_h_factor": 1, "depth_multiplier": 1,
        }  # fmt: skip
        self.add(kind, inputs, (1, *sides, out_c), {**options, **window}, zero=zero)

    def graph(self, name: str) -> Graph:
        """The model."""
        return Graph(
            name,
            "",
            "0" * 64,
            0,
            tuple(self.tensors),
            tuple(self.ops),
            tuple(self.inputs.values()),
            tuple(self.outputs),
        )


def convolutions() -> Iterator[Layers]:
    """Pointwise and others, whole and clipped windows, few and many channels."""
    sides, depths = ((3, 3), (6, 6), (10, 6), (20, 4)), (8, 16, 48, 72)
    for (h, w), depth in itertools.product(sides[:3], depths):
        made = Layers()
        for out_c in (8, 20, 48, 96):
            made.weighted("CONV_2D", (1, h, w, depth), (out_c, 1, 1, depth))
        for out_c, k, stride in ((8, 3, 1), (24, 3, 2), (32, 2, 1), (40, 3, 1)):
            made.weighted("CONV_2D", (1, h, w, depth), (out_c, k, k, depth), stride, same=k == 3)
        for k, stride in ((3, 1), (3, 2), (5, 1), (2, 1)):
            made.weighted("DEPTHWISE_CONV_2D", (1, h, w, depth), (1, k, k, depth), stride)
        yield made
    for h, w in ((16, 16), (31, 20), (40, 24)):
        made = Layers()
        for depth in (1, 2, 3):
            for out_c, k, stride in ((8, 3, 2), (16, 3, 1), (8, 5, 2), (24, 4, 2), (12, 7, 2)):
                made.weighted("CONV_2D", (1, h, w, depth), (out_c, k, k, depth), stride)
        for out_c in (8, 16):
            made.weighted("DEPTHWISE_CONV_2D", (1, h, w, 1), (1, 5, 3, out_c), 2)
        yield made
    for h, w in ((24, 24), (12, 40)):
        made = Layers()
        for depth in (8, 12, 16):
            for stride in (1, 2):
                made.weighted("DEPTHWISE_CONV_2D", (1, h, w, depth), (1, 3, 3, depth), stride)
            made.weighted("CONV_2D", (1, h, w, depth), (8, 1, 1, depth))
            made.weighted("CONV_2D", (1, h, w, depth), (8, 3, 3, depth), 2)
        for depth, out_c in ((16, 16), (24, 24), (24, 40)):
            made.weighted("CONV_2D", (1, h, w, depth), (out_c, 3, 3, depth))
            made.weighted("CONV_2D", (1, h, w, depth), (2 * depth, 1, 1, depth), 2)
        yield made
    made = Layers()
    for side, depth in ((14, 32), (10, 56)):
        made.weighted("CONV_2D", (1, side, side, depth), (depth, 3, 3, depth))
        made.weighted("CONV_2D", (1, side, side, depth), (2 * depth, 1, 1, depth), 2)
    yield made


def others() -> Iterator[Layers]:
    """FULLY_CONNECTED, pooling, element by element."""
    made = Layers()
    for inputs, outputs in itertools.product((12, 72, 200, 512), (4, 10, 96, 160)):
        made.weighted("FULLY_CONNECTED", (1, inputs), (outputs, inputs))
    for count in (2, 5, 10, 24, 60):
        made.add("SOFTMAX", (made.input((1, count)),), (1, count), {"beta": 1.0}, 1 / 256, -128)
    yield made
    made = Layers()
    for h, w, c in ((6, 6, 16), (10, 6, 40), (12, 12, 8), (4, 4, 96), (20, 10, 12)):
        image = made.input((1, h, w, c))
        for kind, k, stride in itertools.product(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (2, 4), (1, 2)):
            out = (1, (h - k) // stride + 1, (w - k) // stride + 1, c)
            options = {
                "stride_w": stride, "stride_h": stride, "padding": "VALID", "filter_width": k, "filter_height": k,
            }  # fmt: skip
            made.add(kind, (image,), out, options)
        options = {"stride_w": h, "stride_h": h, "padding": "VALID", "filter_width": w, "filter_height": h}
        made.add("AVERAGE_POOL_2D", (image,), (1, 1, 1, c), options)
    yield made
    made = Layers()
    for h, w, c in ((6, 6, 16), (10, 6, 40), (12, 12, 8), (4, 4, 96), (20, 10, 12)):
        image = made.input((1, h, w, c))
        axes = made.tensor((2,), np.int32([1, 2]))
        made.add("MEAN", (image, axes), (1, c), {"keep_dims": False})
        other = made.tensor((1, h, w, c), scale=0.07)
        made.inputs[(2, h, w, c)] = other
        for scale in (0.2, 0.11):  # only of some scales is a weighted sum provably the same
            made.add("ADD", (image, other), (1, h, w, c), {}, scale)
        made.add("MUL", (image, other), (1, h, w, c), {}, 0.2)
        made.add("RELU", (image,), (1, h, w, c), {})
        pads = made.tensor((4, 2), np.int32([[0, 0], [1, 1], [0, 2], [0, 0]]))
        made.add("PAD", (image, pads), (1, h + 2, w + 2, c), {})
    yield made


def rows_in_turn(layers: Layers) -> Iterator[tuple[Graph, Selection]]:
    """The layers with the first kernels that can serve them, those that have a second with that, and so on."""
    graph, core = layers.graph("fit"), target.load(TARGET).core
    rows = candidates(graph, core)
    for turn in range(max(map(len, rows))):
        places = [place for place, each in enumerate(rows) if turn < len(each)]
        ops = tuple(replace(graph.ops[place], index=i) for i, place in enumerate(places))
        chosen = [rows[place][turn] for place in places]
        picks = {i: Pick(kernel, "") for i, kernel in enumerate(chosen)}
        smaller = replace(graph, ops=ops, outputs=tuple(op.outputs[0] for op in ops))
        yield smaller, Selection(picks=picks if turn else {})


def simulate(graph: Graph, selection: Selection, cache: Path) -> list[tuple[str, Sample]]:
    """Each layer's kernel, counts and cycles on the virtual board."""
    board = target.load(TARGET)
    program = lower(graph, board.core, selection=selection)
    plan = plan_memory(graph, program.lowerings)
    firmware = build_firmware(generate(program, plan, board), board, "zig", cache=cache)
    size = sum(graph.tensors[i].size_bytes for i in graph.inputs)
    with (
        pipeline.simulate(firmware, board, socket=True) as running,
        Wire.open(running.port, board.board.console.baud) as wire,
    ):
        session = Session(wire)
        session.info()
        session.load(random.integers(0, 256, size, dtype=np.uint8).tobytes())
        session.run(2)
        told = session.layers(len(graph.ops))
    return [
        (step.kernel.symbol, (counts(graph, step.op, step.lowering.macs), float(taken)))
        for step, taken in zip(program.steps, told, strict=True)
    ]


def fit(samples: Sequence[Sample]) -> KernelCost:
    """Coefficients ≥ 0 with the smallest squared relative error, by coordinate descent."""
    names = [name for name in samples[0][0] if any(counted[name] for counted, _ in samples)]
    matrix = np.array([[counted[n] / taken for n in names] for counted, taken in samples])
    unit = np.linalg.norm(matrix, axis=0)
    matrix = matrix / unit
    found = np.zeros(len(names))
    gram, aim = matrix.T @ matrix, matrix.sum(axis=0)
    for _ in range(20_000):
        for i in range(len(names)):
            found[i] = max(0.0, found[i] + aim[i] - gram[i] @ found)
    error = 2 * float(np.sqrt(np.mean((matrix @ found - 1) ** 2)))
    coefficients = {n: round(float(v), 4) for n, v in zip(names, found / unit, strict=True) if v > 1e-6}
    return KernelCost(coefficients, round(max(LEAST_PERCENT, 100 * error), 1), len(samples))


def as_toml(found: Mapping[str, KernelCost]) -> str:
    """The file's text."""
    board = target.load(TARGET)
    timing, slow = board.soc.flash_timing, board.soc.slow_reads
    assert timing is not None and slow is not None
    lines = [
        "# Cycles of each kernel, fitted on the virtual board. Written by benchmarks/fit_costs.py; don't edit.",
        f'core = "{board.core.name}"',
        f'cycle_model = "{board.core.cycle_model}"',
        f'source = "benchmarks/fit_costs.py: the virtual {board.board.title}"',
        "",
        "[memory]",
        f"wait_states = {board.wait_states}",
        f"read_bytes = {timing.read_bytes}",
        f"cache_line_bytes = {timing.cache_line_bytes}",
        f"data_cache_lines = {timing.data_cache_lines}",
        f"fast_ram_bytes = {slow.base - board.region_for('arena').base}",
    ]
    for symbol, cost in sorted(found.items()):
        inside = ", ".join(f"{name} = {value}" for name, value in cost.cycles.items())
        lines += [
            "",
            f"[kernel.{symbol}]",
            f"cycles = {{ {inside} }}",
            f"error_percent = {cost.error_percent}",
            f"layers = {cost.layers}",
        ]
    return "\n".join(lines) + "\n"


def collect() -> Mapping[str, Sequence[Sample]]:
    """Samples of every kernel: of the layers that it serves, and of those that it could serve too."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as cache:
        for layers in (*convolutions(), *others()):
            for graph, selection in rows_in_turn(layers):
                for symbol, sample in simulate(graph, selection, Path(cache)):
                    samples[symbol].append(sample)
    return samples


def main() -> int:
    """Write the file, or compare with it."""
    parser = argparse.ArgumentParser(description="fit each kernel's cycles on the virtual board")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    samples = collect()
    if options.check:
        moved = 0
        for symbol, taken in samples.items():
            known = costs().kernel.get(symbol)
            off = [100 * (cycles(known, c) / t - 1) for c, t in taken] if known else [float("inf")]
            mean = sum(off) / len(off)
            moved += abs(mean) > 5
            print(f"{symbol}: {mean:+.1f} % on average, {min(off):+.1f} to {max(off):+.1f} %")
        return int(moved > 0)
    # Kernels for what others refuse (a tight clamp, nested weights) serve none of these layers; theirs stay.
    kept = {symbol: cost for symbol, cost in costs().kernel.items() if symbol in {k.symbol for k in KERNELS}}
    found = {**kept, **{symbol: fit(taken) for symbol, taken in samples.items()}}
    found = {symbol: cost for symbol, cost in found.items() if cost.error_percent < MOST_ERROR_PERCENT}
    text = as_toml(found)
    print(text)
    COSTS_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
