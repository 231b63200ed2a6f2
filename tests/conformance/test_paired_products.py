"""The products with paired weights, on shapes that decide which code runs: random cases reach few of them."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.cases import Case, compare
from conformance.machine import Machine
from conformance.overlapped import overlapped
from models_flatbuffer import T, single_op_model

from edgeq.kernels import arithmetic, choose
from edgeq.tflite import parse

Shape = tuple[int, ...]

# input, filter (out_c, h, w), stride, padding, kernel
CONVOLUTIONS: tuple[tuple[Shape, Shape, int, str, str], ...] = (
    ((1, 5, 6, 16), (8, 3, 3), 1, "SAME", "band"),  # pixels 32 bytes apart
    ((2, 5, 10, 16), (4, 3, 3), 1, "VALID", "band"),  # weights copied; two images
    ((1, 4, 6, 16), (4, 2, 2), 1, "SAME", "band"),  # shorter turns
    ((1, 8, 8, 16), (4, 3, 3), 2, "SAME", "band"),  # 64
    ((1, 3, 8, 32), (4, 3, 2), 1, "SAME", "band"),
    ((1, 3, 8, 32), (8, 3, 3), 1, "SAME", "band"),  # weights copied behind the band
    ((1, 4, 8, 32), (4, 2, 2), 2, "SAME", "band"),  # 128; no rows kept
    ((1, 6, 4, 64), (4, 2, 3), 1, "SAME", "band"),
    ((1, 5, 5, 16), (4, 3, 3), 1, "SAME", "paired"),  # odd rows: gathered
    ((1, 9, 10, 1), (12, 6, 4), 2, "SAME", "paired"),  # no pixel is a word; 25 pixels
    ((1, 7, 7, 3), (8, 3, 3), 2, "SAME", "rgb"),  # rows begin at odd places
    ((2, 8, 10, 3), (4, 3, 3), 2, "SAME", "rgb"),  # padding on one side; an odd number of outputs in a row
    ((1, 9, 12, 3), (4, 3, 3), 2, "VALID", "rgb"),
    ((2, 5, 5, 3), (4, 3, 3), 1, "VALID", "rgb"),
    ((1, 6, 7, 3), (12, 3, 3), 1, "SAME", "rgb"),
    ((1, 7, 8, 3), (4, 3, 3), 1, "SAME", "rgb"),
    ((1, 7, 7, 3), (4, 3, 3), 3, "SAME", "paired"),  # 9 bytes a row
    ((1, 4, 5, 6), (4, 2, 4), 3, "VALID", "paired"),  # a stride above the filter's height: no rows kept; one row
    ((1, 6, 6, 5), (4, 2, 2), 3, "SAME", "paired"),
    ((1, 9, 3, 2), (4, 9, 1), 1, "SAME", "paired"),
    ((1, 5, 7, 4), (8, 1, 1), 1, "SAME", "pointwise"),  # one pair of inputs after another: no turn of the loop
    ((1, 3, 5, 20), (4, 1, 1), 1, "SAME", "pointwise"),  # 15 pixels
    ((1, 1, 41, 24), (12, 1, 1), 1, "SAME", "pointwise"),  # several chunks and one pixel
    ((2, 3, 3, 36), (4, 1, 1), 1, "SAME", "pointwise"),
    ((1, 3, 5, 8), (8, 1, 1), 1, "SAME", "pointwise"),  # no loop over inputs
    ((1, 4, 4, 16), (4, 1, 1), 1, "SAME", "pointwise"),
    ((1, 3, 9, 32), (12, 1, 1), 1, "SAME", "pointwise"),
    ((2, 5, 7, 8), (4, 1, 1), 2, "SAME", "pointwise"),  # a stride: rows of four
    ((1, 5, 13, 20), (4, 1, 1), 3, "VALID", "pointwise"),  # of five
    ((1, 3, 70, 32), (4, 1, 1), 2, "SAME", "pointwise"),  # several chunks a row
    ((1, 2, 6, 8), (7, 2, 6), 1, "VALID", "fully_connected"),
)
FULLY_CONNECTED = ((1, 4, 1), (1, 8, 2), (1, 12, 9), (3, 16, 11), (1, 20, 16), (2, 64, 24), (1, 100, 8), (1, 24, 7))


def _parts(
    weights: Shape, in_shape: Shape, out_shape: Shape, relu: bool, per_channel: bool, rng: np.random.Generator
) -> tuple[list[T], T]:
    """Tensors with outputs that spread over int8."""
    depth = int(np.prod(weights[1:]))
    scales = [float(np.float32(0.01 * 2**s)) for s in rng.uniform(-1, 0, weights[0])]
    scale = scales if per_channel else scales[0]
    data = rng.integers(-127, 128, weights)
    bias = rng.integers(-500 * depth, 500 * depth, weights[0])
    s_in = 0.5
    bias_scale = [float(np.float32(s_in * s)) for s in scales] if per_channel else float(np.float32(s_in * scales[0]))
    out = T(out_shape, scale=float(np.float32(s_in * 0.01 * 20 * depth**0.5)), zero_point=-128 if relu else 7)
    return [
        T(in_shape, scale=s_in, zero_point=-9),
        T(weights, scale=scale, axis=0, data=data),
        T((weights[0],), "INT32", scale=bias_scale, axis=0, data=bias),
    ], out


def _convolution(at: int, relu: bool) -> Case:
    in_shape, (out_c, height, width), stride, padding, _ = CONVOLUTIONS[at]
    sizes = ((in_shape[1], height), (in_shape[2], width))
    out_h, out_w = (arithmetic.output_size(size, taps, stride, 1, padding) for size, taps in sizes)
    inputs, out = _parts(
        (out_c, height, width, in_shape[3]),
        in_shape,
        (in_shape[0], out_h, out_w, out_c),
        relu,
        True,
        np.random.default_rng(at),
    )
    options = {
        "padding": padding,
        "stride_h": stride,
        "stride_w": stride,
        "fused_activation_function": "RELU" if relu else "NONE",
    }
    return Case(single_op_model("CONV_2D", inputs, out, options, version=3), {"at": at, "relu": relu})


def _fully_connected(at: int, relu: bool, per_channel: bool) -> Case:
    rows, depth, outputs = FULLY_CONNECTED[at]
    rng = np.random.default_rng(at)
    inputs, out = _parts((outputs, depth), (rows, depth), (rows, outputs), relu, per_channel, rng)
    options = {"fused_activation_function": "RELU" if relu else "NONE"}
    about = {"at": at, "relu": relu, "per_channel": per_channel}
    return Case(single_op_model("FULLY_CONNECTED", inputs, out, options, version=5), about)


@pytest.mark.parametrize("machine", ["core-watched"], indirect=True)
@pytest.mark.parametrize("relu", [True, False])
def test_each_product_equals_the_reference(machine: Machine, relu: bool) -> None:
    cases = [_convolution(at, relu) for at in range(len(CONVOLUTIONS))]
    cases += [_fully_connected(at, relu, per) for at in range(len(FULLY_CONNECTED)) for per in (True, False)]
    kernels = [kernel for *_, kernel in CONVOLUTIONS] + ["fully_connected"] * 2 * len(FULLY_CONNECTED)
    graphs = [parse(case.model, name="case") for case in cases]
    for graph, kernel, case in zip(graphs, kernels, cases, strict=True):
        chosen = choose(graph, graph.ops[0], machine.core).kernel
        assert chosen is not None and kernel in chosen.symbol, case.about
        assert any(name in chosen.symbol for name in ("paired", "band", "rgb")), case.about
        assert "dsp" in chosen.requires, case.about
        assert chosen.types.startswith("int8, one rounding" if relu else "int8, two roundings"), case.about
    for loaded, case in zip(machine.load_many(graphs, overlapped), cases, strict=True):
        compare(loaded, case, 0)
        loaded.close()
