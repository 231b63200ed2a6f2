"""Layers in float32: convolutions, matrices, pooling, resizing, rows, reductions, SVDF. Portable C, sums in the
reference's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import conv, depthwise, overlaps, pooling, rules, spatial, svdf, windows
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.batch_matmul import lower_product, product_rules
from edgeq.kernels.contract import Constant, Kernel, Lowering, Rule
from edgeq.kernels.convolution import bias_fits
from edgeq.kernels.fully_connected import shapes_fit, weights_are_plain
from edgeq.kernels.indexed import resize_fits
from edgeq.kernels.mean import reduced_axes
from edgeq.kernels.reductions import cumsum_row, reduction_rules, sizes_and_axes
from edgeq.kernels.softmax import beta_of
from edgeq.kernels.types import FLOAT, INT32

_MOST = float(np.finfo(np.float32).max)


def literal(value: float) -> str:
    """A float in C, exactly."""
    return f"{float(np.float32(value)).hex()}f"


def activation_limits(op: Op) -> Mapping[str, str]:
    """`act_min` and `act_max` of the fused activation."""
    activation = op.text("fused_activation_function", "NONE")
    low, high = {"RELU": (0.0, _MOST), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}.get(
        activation, (-_MOST, _MOST)
    )
    return {"act_min": literal(low), "act_max": literal(high)}


def _constant(name: str, values: npt.NDArray[np.generic]) -> Constant:
    return Constant(name, "float", values.astype("<f4").tobytes())


def _weights_and_bias(graph: Graph, op: Op, channels: int, at: int = 1, bias_at: int = 2) -> tuple[Constant, Constant]:
    weights, bias = graph.input_of(op, at), graph.input_of(op, bias_at)
    assert weights is not None and weights.data is not None
    values = np.zeros(channels, np.float32) if bias is None or bias.data is None else bias.data.reshape(-1)
    return _constant("weights", weights.data), _constant("bias", values)


def _lower_window(graph: Graph, op: Op, window: windows.Window, group: int, macs: int, source: int = 0) -> Lowering:
    transposed = source == 2
    return Lowering.of_call(
        arguments=(f"{{in{source}}}", "{out0}"),
        struct="edgeq_conv_f32_params",
        fields={
            "window": window.initializer(),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            **activation_limits(op),
            "group": str(group),
        },
        constants=_weights_and_bias(graph, op, window.out_c, bias_at=3 if transposed else 2),
        overlap={0: _window_overlap(op, window)} if not transposed else {},
        macs=macs,
    )


def _window_overlap(op: Op, window: windows.Window) -> int:
    """All channels of a pixel before the next pixel's; of a depthwise convolution channel c reads c / multiplier."""
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    ahead = window.out_c - window.in_c if depthwise else window.out_c - 1
    return overlaps.windows(window, 4, ahead=4 * ahead, in_step=depthwise)


def _lower_convolution(graph: Graph, op: Op) -> Lowering:
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    window = windows.window_of(inp, out, op, weights.shape[1], weights.shape[2])
    group = weights.shape[3] if op.kind == "CONV_2D" else out.shape[3] // inp.shape[3]
    return _lower_window(graph, op, window, group, window.positions * weights.elements)


def _lower_transposed(graph: Graph, op: Op) -> Lowering:
    window = spatial.transposed_window(graph, op)
    return _lower_window(graph, op, window, window.in_c, spatial.macs(graph, op), source=2)


def _lower_fully_connected(graph: Graph, op: Op) -> Lowering:
    inp, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and weights is not None
    outputs, depth = weights.shape
    rows = inp.elements // depth
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_fully_connected_f32_params",
        fields={
            "rows": str(rows),
            "depth": str(depth),
            "outputs": str(outputs),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            **activation_limits(op),
        },
        constants=_weights_and_bias(graph, op, outputs),
        overlap={0: overlaps.rows(rows, 4 * depth, 4 * outputs, ahead=4 * (outputs - 1))},
        macs=rows * weights.elements,
    )


def _lower_product(graph: Graph, op: Op) -> Lowering:
    return lower_product(graph, op, "edgeq_batch_matmul_params", {})


def _lower_pool(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    window = windows.window_of(inp, out, op, op.integer("filter_height"), op.integer("filter_width"))
    fields = {"window": window.initializer(), **activation_limits(op)}
    overlap = {0: overlaps.windows(window, 4, in_step=True)}
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_pool_f32_params", fields, overlap=overlap)


def _positions(size: int, out_size: int, corners: bool, centres: bool) -> tuple[list[int], list[float]]:
    """The two of the input around each index of the output, and how far from the first, in float32
    (ComputeInterpolationValues in reference/resize_bilinear.h)."""
    one = np.float32
    scale = one(size - 1) / one(out_size - 1) if corners and out_size > 1 else one(size) / one(out_size)
    around, at = [], []
    for place in range(out_size):
        position = one(one(one(place) + one(0.5)) * scale) - one(0.5) if centres else one(one(place) * scale)
        first = max(math.floor(float(position)), 0)
        around += [first, min(math.ceil(float(position)), size - 1)]
        at.append(float(one(position - one(first))))
    return around, at


def _lower_resize(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    corners, centres = bool(op.options.get("align_corners")), bool(op.options.get("half_pixel_centers"))
    tables = [_positions(inp.shape[d], out.shape[d], corners, centres) for d in (1, 2)]
    names = ("rows", "row_at", "columns", "column_at")
    values = (tables[0][0], tables[0][1], tables[1][0], tables[1][1])
    n, h, w, c = map(str, inp.shape)
    sizes = {"batches": n, "in_h": h, "in_w": w, "depth": c, "out_h": str(out.shape[1]), "out_w": str(out.shape[2])}
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_resize_f32_params",
        fields={**sizes, **{name: f"{{const:{name}}}" for name in names}},
        constants=tuple(
            Constant(name, "int32_t", np.array(v, "<i4").tobytes(), "parameters")
            if name in ("rows", "columns")
            else Constant(name, "float", np.array(v, "<f4").tobytes(), "parameters")
            for name, v in zip(names, values, strict=True)
        ),
        overlap={0: overlaps.interpolated(inp, out, tuple(tables[0][0][::2]), tuple(tables[1][0][::2]))},
    )


def _lower_rows(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    depth = inp.shape[-1]
    fields = {"rows": str(inp.elements // depth), "depth": str(depth), "beta": literal(beta_of(op))}
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_softmax_f32_params", fields, overlap={0: 0})


def _lower_sum(graph: Graph, op: Op) -> Lowering:
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_reduce_params", sizes_and_axes(graph, op))


def _lower_mean(graph: Graph, op: Op) -> Lowering:
    inp = graph.input_of(op, 0)
    assert inp is not None
    count = prod(inp.shape[a] for a in reduced_axes(graph, op))
    fields = {**sizes_and_axes(graph, op), "count": str(count)}
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_mean_f32_params", fields)


def _lower_svdf(graph: Graph, op: Op) -> Lowering:
    inp, features, times, bias = (graph.input_of(op, i) for i in range(4))
    out = graph.output_of(op)
    assert inp is not None and features is not None and times is not None
    assert features.data is not None and times.data is not None
    units = out.shape[1]
    values = np.zeros(units, np.float32) if bias is None or bias.data is None else bias.data.reshape(-1)
    return Lowering.of_call(
        arguments=("{in0}", "{in4}", "{out0}"),
        struct="edgeq_svdf_f32_params",
        fields={
            "batches": str(inp.shape[0]),
            "inputs": str(inp.shape[1]),
            "units": str(units),
            "rank": str(op.integer("rank")),
            "memory": str(times.shape[1]),
            "features": "{const:features}",
            "times": "{const:times}",
            "bias": "{const:bias}",
            **activation_limits(op),
        },
        constants=(_constant("features", features.data), _constant("times", times.data), _constant("bias", values)),
        macs=inp.shape[0] * (features.elements + times.elements),
    )


def _convolution_rules(channels_fit: Rule) -> tuple[Rule, ...]:
    return (
        rules.arity(2, 3),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((FLOAT,), FLOAT),
        rules.constant(1, "weights"),
        rules.constant(2, "biases"),
        rules.rank(0, (4,)),
        rules.rank(1, (4,)),
        windows.geometry(filter_from_options=False),
        bias_fits,
        rules.activation_is_known,
        rules.activations_come_from_the_arena,
        channels_fit,
    )


_POOL_RULES = (
    rules.arity(1, 1),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((FLOAT,), FLOAT),
    rules.rank(0, (4,)),
    windows.geometry(filter_from_options=True),
    pooling.depth_is_kept,
    rules.activation_is_known,
    rules.activations_come_from_the_arena,
)
_ROW_RULES = (
    rules.arity(1, 1),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((FLOAT,), FLOAT),
    rules.rank(0, (1, 2, 3, 4)),
    size_is_kept,
    rules.activations_come_from_the_arena,
)
_TRANSPOSED_RULES = (
    rules.arity(3, 4),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((INT32, FLOAT), FLOAT),
    rules.constant(0, "output shape"),
    rules.constant(1, "weights"),
    rules.constant(3, "biases"),
    rules.rank(1, (4,)),
    rules.rank(2, (4,)),
    spatial.transposed_geometry,
    spatial.transposed_bias_fits,
    rules.activation_is_known,
    rules.activations_come_from_the_arena,
)
_MATRIX_RULES = (
    rules.arity(2, 3),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((FLOAT,), FLOAT),
    rules.constant(1, "weights"),
    rules.constant(2, "biases"),
    shapes_fit,
    weights_are_plain,
    bias_fits,
    rules.activation_is_known,
    rules.activations_come_from_the_arena,
)
_RESIZE_RULES = (
    rules.arity(2, 2),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((FLOAT, INT32), FLOAT),
    rules.constant(1, "size"),
    rules.rank(0, (4,)),
    resize_fits,
    rules.activations_come_from_the_arena,
)


def float_row(
    op: str,
    symbol: str,
    source: str,
    max_version: int,
    which: tuple[Rule, ...],
    lower: Callable[[Graph, Op], Lowering],
    exact: str = "",
) -> Kernel:
    """A row of a float operator."""
    return Kernel(
        symbol=symbol,
        op=op,
        types="float32",
        max_version=max_version,
        sources=(f"portable/{source}.c",),
        rules=which,
        lower=lower,
        why="every core; slow without a floating-point unit",
        exact=exact,
    )


ONE_STEP = "within two units in the last place of the reference's C library"
NEAR = "within 2**-20 of the largest output: exponentials and the error function are not the reference's C library's"
_SUMMED = "within a few units in the last place: its exponentials are not the reference's C library's"

KERNELS = (
    float_row(
        "CONV_2D", "edgeq_conv_2d_f32", "conv_2d_f32", 8, _convolution_rules(conv.channels_fit), _lower_convolution
    ),
    float_row(
        "DEPTHWISE_CONV_2D",
        "edgeq_depthwise_conv_2d_f32",
        "depthwise_conv_2d_f32",
        7,
        _convolution_rules(depthwise.channels_fit),
        _lower_convolution,
    ),
    float_row(
        "TRANSPOSE_CONV", "edgeq_transpose_conv_f32", "transpose_conv_f32", 5, _TRANSPOSED_RULES, _lower_transposed
    ),
    float_row(
        "FULLY_CONNECTED",
        "edgeq_fully_connected_f32",
        "fully_connected_f32",
        12,
        _MATRIX_RULES,
        _lower_fully_connected,
    ),
    float_row(
        "BATCH_MATMUL", "edgeq_batch_matmul_f32", "batch_matmul_f32", 4, product_rules(DType.FLOAT32), _lower_product
    ),
    *(
        float_row(op, f"edgeq_{op.lower()}_f32", "pool_2d_f32", 3, _POOL_RULES, _lower_pool)
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
    ),
    float_row("RESIZE_BILINEAR", "edgeq_resize_bilinear_f32", "resize_bilinear_f32", 4, _RESIZE_RULES, _lower_resize),
    float_row("SOFTMAX", "edgeq_softmax_f32", "softmax_f32", 3, _ROW_RULES, _lower_rows, _SUMMED),
    float_row("LOG_SOFTMAX", "edgeq_log_softmax_f32", "softmax_f32", 2, _ROW_RULES, _lower_rows, _SUMMED),
    float_row("L2_NORMALIZATION", "edgeq_l2_normalization_f32", "l2_normalization_f32", 2, _ROW_RULES, _lower_rows),
    float_row("SUM", "edgeq_sum_f32", "sum_f32", 2, reduction_rules(DType.FLOAT32), _lower_sum),
    float_row("MEAN", "edgeq_mean_f32", "sum_f32", 3, reduction_rules(DType.FLOAT32), _lower_mean),
    cumsum_row(DType.FLOAT32),
    float_row(
        "SVDF",
        "edgeq_svdf_f32",
        "svdf_f32",
        4,
        svdf.svdf_rules((FLOAT,), FLOAT, rules.activation_is_known),
        _lower_svdf,
    ),
)
