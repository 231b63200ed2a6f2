"""Each kernel of the engine on the virtual Cortex-M4: MACs a cycle, or cycles an element, per row and shape.

    python benchmarks/kernels.py [part of a kernel's name ...] [--target raspberry-pi-pico] [--toolchain zig|gcc]

Shapes are those of the MLPerf Tiny networks, MobileNetV2 and ResNet. Weights and inputs are random; scales are as
trained networks have them, so that the layers choose the rows that a network's would. Cycles are simulated, on the
virtual NUCLEO-L4R5ZI with ideal memory and with its wait states at 120 MHz, or on the virtual Raspberry Pi Pico
(Cortex-M0+); the whole call counts. Helium has benchmarks/mve.py --layers, where instructions are counted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fit_costs import TARGET, Layers
from rich.console import Console
from rich.table import Table

from edgeq import pipeline, target
from edgeq.codegen import generate
from edgeq.graph import QuantParams
from edgeq.kernels import lower
from edgeq.measure.session import Session
from edgeq.measure.wire import Wire
from edgeq.memory import plan_memory
from edgeq.toolchains.build import build_firmware

random = np.random.default_rng(0)
RELU = {"fused_activation_function": "RELU"}


@dataclass(frozen=True)
class Measured:
    """One layer: its kernel, what it is, and its cycles with ideal and with real memory."""

    kernel: str
    shape: str
    macs: int
    elements: int
    ideal: int
    real: int


class Bench(Layers):
    """Layers with scales as trained networks have them: sums about fill the output's range, one scale per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def convolution(
        self, kind: str, image: tuple[int, int, int], out_c: int, k: tuple[int, int], stride: int = 1, relu: bool = True
    ) -> None:
        """CONV_2D, or DEPTHWISE_CONV_2D, padding SAME."""
        h, w, c = image
        depthwise = kind == "DEPTHWISE_CONV_2D"
        shape = (1, *k, out_c) if depthwise else (out_c, *k, c)
        scales = random.uniform(0.004, 0.02, out_c)
        weights = self.per_channel(random.integers(-127, 128, shape).astype(np.int8), scales, 3 if depthwise else 0)
        bias = self.per_channel(random.integers(-3000, 3000, out_c).astype(np.int32), scales * 0.1, 0)
        depth = k[0] * k[1] * (1 if depthwise else c)
        options = {
            "stride_w": stride, "stride_h": stride, "padding": "SAME", "depth_multiplier": 1,
            "dilation_w_factor": 1, "dilation_h_factor": 1, **(RELU if relu else {}),
        }  # fmt: skip
        out = (1, -(-h // stride), -(-w // stride), out_c)
        scale = 0.012 * 0.1 * 74 * float(np.sqrt(depth))
        self.add(kind, (self.input((1, h, w, c)), weights, bias), out, options, scale, -128 if relu else 3)
        name = f"{k[0]}x{k[1]}" + (f" /{stride}" if stride > 1 else "")
        self.told.append(f"{h}x{w}x{c} {name}" + ("" if depthwise else f" {out_c}") + ("" if relu else " linear"))

    def per_channel(self, data: npt.NDArray[np.generic], scales: npt.NDArray[np.float64], axis: int) -> int:
        """A constant with one scale per channel."""
        index = self.tensor(data.shape, data)
        count = data.shape[axis]
        quant = QuantParams(scales.astype(np.float32), np.zeros(count, np.int64), axis)
        self.tensors[index] = replace(self.tensors[index], quant=quant)
        return index

    def connected(self, inputs: int, outputs: int, relu: bool = True) -> None:
        """FULLY_CONNECTED."""
        weights = self.tensor((outputs, inputs), random.integers(-127, 128, (outputs, inputs)).astype(np.int8), 0.01)
        bias = self.tensor((outputs,), random.integers(-3000, 3000, outputs).astype(np.int32), 0.001)
        options = {**(RELU if relu else {}), "keep_num_dims": False}
        scale = 0.01 * 0.1 * 74 * float(np.sqrt(inputs))
        self.add("FULLY_CONNECTED", (self.input((1, inputs)), weights, bias), (1, outputs), options, scale, -128)
        self.told.append(f"{inputs} to {outputs}" + ("" if relu else " linear"))

    def addition(self, image: tuple[int, int, int], scales: tuple[float, float, float], relu: bool = True) -> None:
        """ADD of two tensors of one shape."""
        first = self.tensor((1, *image), scale=scales[0], zero=-12)
        second = self.tensor((1, *image), scale=scales[1], zero=4)
        self.inputs[(len(self.ops), 0, *image)], self.inputs[(len(self.ops), 1, *image)] = first, second
        self.add("ADD", (first, second), (1, *image), RELU if relu else {}, scales[2], -128 if relu else 5)
        self.told.append("x".join(map(str, image)))

    def pool(self, kind: str, image: tuple[int, int, int], k: tuple[int, int], stride: tuple[int, int]) -> None:
        """AVERAGE_POOL_2D or MAX_POOL_2D, padding VALID."""
        h, w, c = image
        options = {
            "stride_h": stride[0], "stride_w": stride[1], "padding": "VALID",
            "filter_height": k[0], "filter_width": k[1],
        }  # fmt: skip
        out = (1, (h - k[0]) // stride[0] + 1, (w - k[1]) // stride[1] + 1, c)
        self.add(kind, (self.input((1, h, w, c)),), out, options)
        self.told.append(f"{h}x{w}x{c} {k[0]}x{k[1]}")

    def mean(self, image: tuple[int, int, int]) -> None:
        """MEAN over the plane."""
        axes = self.tensor((2,), np.int32([1, 2]))
        self.add("MEAN", (self.input((1, *image)), axes), (1, image[2]), {"keep_dims": False})
        self.told.append("x".join(map(str, image)))

    def softmax(self, count: int) -> None:
        """SOFTMAX of one row."""
        self.add("SOFTMAX", (self.input((1, count)),), (1, count), {"beta": 1.0}, 1 / 256, -128)
        self.told.append(str(count))


def groups() -> Iterator[Bench]:
    """Layers that fit into one firmware each."""
    made = Bench()  # first layers
    made.convolution("CONV_2D", (49, 10, 1), 64, (10, 4), 2)
    made.convolution("CONV_2D", (32, 32, 3), 16, (3, 3))
    made.convolution("CONV_2D", (96, 96, 3), 8, (3, 3), 2)
    yield made
    made = Bench()  # pointwise: keyword spotting, person detection, MobileNetV2's expansion and projection
    for image, out_c, relu in (
        ((25, 5, 64), 64, True), ((48, 48, 8), 16, True), ((24, 24, 32), 32, True), ((12, 12, 64), 64, True),
        ((6, 6, 128), 128, True), ((3, 3, 256), 256, True), ((14, 14, 24), 144, True), ((14, 14, 144), 24, False),
    ):  # fmt: skip
        made.convolution("CONV_2D", image, out_c, (1, 1), relu=relu)
    yield made
    made = Bench()  # ResNet
    for image, out_c, k, stride, relu in (
        ((32, 32, 16), 16, 3, 1, True), ((32, 32, 16), 16, 3, 1, False), ((32, 32, 16), 32, 3, 2, True),
        ((16, 16, 32), 32, 3, 1, False), ((8, 8, 64), 64, 3, 1, False), ((16, 16, 32), 64, 1, 2, False),
    ):  # fmt: skip
        made.convolution("CONV_2D", image, out_c, (k, k), stride, relu)
    yield made
    made = Bench()
    for image, stride in (
        ((25, 5, 64), 1), ((48, 48, 8), 1), ((48, 48, 16), 2), ((24, 24, 32), 1), ((24, 24, 32), 2), ((12, 12, 64), 1),
        ((12, 12, 64), 2), ((6, 6, 128), 1), ((6, 6, 128), 2), ((3, 3, 256), 1),
    ):  # fmt: skip
        made.convolution("DEPTHWISE_CONV_2D", image, image[2], (3, 3), stride)
    made.convolution("DEPTHWISE_CONV_2D", (14, 14, 96), 96, (3, 3), relu=False)
    made.convolution("DEPTHWISE_CONV_2D", (12, 12, 32), 32, (5, 5))
    made.convolution("DEPTHWISE_CONV_2D", (49, 10, 1), 8, (10, 4), 2)
    yield made
    made = Bench()
    for (inputs, outputs), relu in itertools.product(
        ((640, 128), (128, 128), (128, 8), (8, 128), (64, 12)), (True, False)
    ):
        made.connected(inputs, outputs, relu)
    for image in ((32, 32, 16), (16, 16, 32), (8, 8, 64)):
        made.addition(image, (0.0217, 0.0574, 0.0281))
    made.addition((14, 14, 24), (0.11, 0.09, 0.13), relu=False)
    made.pool("AVERAGE_POOL_2D", (25, 5, 64), (25, 5), (25, 5))
    made.pool("AVERAGE_POOL_2D", (8, 8, 64), (8, 8), (8, 8))
    made.pool("AVERAGE_POOL_2D", (16, 16, 32), (2, 2), (2, 2))
    made.pool("MAX_POOL_2D", (16, 16, 32), (2, 2), (2, 2))
    made.mean((7, 7, 160))
    for count in (2, 12, 1000):
        made.softmax(count)
    yield made


def measure(bench: Bench, name: str, toolchain: str, cache: Path) -> list[Measured]:
    """Each layer's cycles on the virtual board, with ideal memory and with its own."""
    board = target.load(name)
    graph = bench.graph("kernels")
    program = lower(graph, board.core)
    plan = plan_memory(graph, program.lowerings)
    firmware = build_firmware(generate(program, plan, board), board, toolchain, cache=cache)
    size = sum(graph.tensors[i].size_bytes for i in graph.inputs)
    data = random.integers(0, 256, size, dtype=np.uint8).tobytes()
    taken: list[list[int]] = []
    for states in (0, None):
        with (
            pipeline.simulate(firmware, board, wait_states=states, socket=True) as running,
            Wire.open(running.port, board.board.console.baud) as wire,
        ):
            session = Session(wire)
            session.info()
            session.load(data)
            session.run(2)
            taken.append([int(cycles) for cycles in session.layers(len(graph.ops))])
    return [
        Measured(
            step.kernel.symbol,
            f"{step.op.kind} {bench.told[place]}",
            step.lowering.macs,
            graph.tensors[step.op.inputs[0]].elements,
            taken[0][place],
            taken[1][place],
        )
        for place, step in enumerate(program.steps)
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kernels", nargs="*")
    parser.add_argument("--target", default=TARGET, choices=(TARGET, "raspberry-pi-pico"))
    parser.add_argument("--toolchain", default="zig", choices=("zig", "gcc"))
    options = parser.parse_args()
    table = Table(title=f"Kernels on the virtual {options.target}, {options.toolchain} (simulated)")
    heads = ("cycles, ideal", "real", "MAC/cycle, ideal", "real", "cycles/element, ideal", "real")
    for head in ("kernel", "layer", *heads):
        table.add_column(head, justify="left" if head in ("kernel", "layer") else "right")
    with tempfile.TemporaryDirectory() as cache:
        rows = [row for bench in groups() for row in measure(bench, options.target, options.toolchain, Path(cache))]
    for row in sorted(rows, key=lambda r: r.kernel):
        if options.kernels and not any(part in row.kernel for part in options.kernels):
            continue
        times = row.ideal, row.real
        pace = [f"{row.macs / t:.2f}" if row.macs else "" for t in times]
        pace += ["" if row.macs else f"{t / row.elements:.2f}" for t in times]
        table.add_row(row.kernel.removeprefix("edgeq_"), row.shape, *(f"{t:,}" for t in times), *pace)
    Console(width=160).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
