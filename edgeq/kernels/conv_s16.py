"""CONV_2D and DEPTHWISE_CONV_2D on int16 activations with int8 weights."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, conv, depthwise, overlaps, rules, wide, windows
from edgeq.kernels.contract import Constant, Kernel, Lowering, Rule
from edgeq.kernels.convolution import bias_fits, scale_pairs, weight_scales, weights_are_symmetric
from edgeq.kernels.types import INT8, INT16


def _lower(graph: Graph, op: Op, group: int, macs: int, ahead: int, in_step: bool = False) -> Lowering:
    inp, weights, bias, out = (
        graph.input_of(op, 0),
        graph.input_of(op, 1),
        graph.input_of(op, 2),
        graph.output_of(op),
    )
    assert inp is not None and weights is not None and weights.data is not None
    channels = out.shape[3]
    values = np.zeros(channels, np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
    multipliers = arithmetic.convolution_multipliers(inp, weights, out, channels)
    window = windows.window_of(inp, out, op, weights.shape[1], weights.shape[2])
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_conv_s16_params",
        fields={
            "window": window.initializer(),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_scale *){const:scales}",
            "narrow": str(int(wide.sums_in_32_bits(graph, op))),
            **windows.activation_fields(op, out),
            "group": str(group),
        },
        constants=(
            Constant("weights", "int8_t", weights.data.astype(np.int8).tobytes()),
            Constant("bias", "int64_t", values.reshape(-1).astype("<i8").tobytes()),
            Constant("scales", "int32_t", scale_pairs(multipliers), "parameters"),
        ),
        overlap={0: overlaps.windows(window, 2, ahead=2 * ahead, in_step=in_step)},
        macs=macs,
    )


def _lower_conv(graph: Graph, op: Op) -> Lowering:
    weights = graph.input_of(op, 1)
    assert weights is not None
    positions = graph.output_of(op).elements // graph.output_of(op).shape[3]
    return _lower(graph, op, weights.shape[3], positions * weights.elements, weights.shape[0] - 1)


def _lower_depthwise(graph: Graph, op: Op) -> Lowering:
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    in_c, out_c = inp.shape[3], out.shape[3]
    return _lower(graph, op, out_c // in_c, out.elements // out_c * weights.elements, out_c - in_c, in_step=True)


def _rules(axis: int, channels_fit: Rule, biases: tuple[DType, ...]) -> tuple[Rule, ...]:
    return (
        rules.arity(2, 3),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((INT16, INT8, biases), INT16),
        rules.constant(1, "weights"),
        rules.constant(2, "biases"),
        rules.rank(0, (4,)),
        rules.rank(1, (4,)),
        windows.geometry(filter_from_options=False),
        rules.quantization_is_usable(0),
        wide.zero_points_are_zero,
        weight_scales(axis),
        weights_are_symmetric,
        wide.wide_factor_is_defined(0, 1),
        bias_fits,
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
        channels_fit,
    )


KERNELS = (
    Kernel(
        symbol="edgeq_conv_2d_s16",
        op="CONV_2D",
        types="int16 (int8 weights)",
        max_version=8,
        sources=("portable/conv_2d_s16.c",),
        rules=_rules(0, conv.channels_fit, (DType.INT64, DType.INT32)),
        lower=_lower_conv,
        why="every core; 16x8",
    ),
    Kernel(
        symbol="edgeq_depthwise_conv_2d_s16",
        op="DEPTHWISE_CONV_2D",
        types="int16 (int8 weights)",
        max_version=7,
        sources=("portable/depthwise_conv_2d_s16.c",),
        rules=_rules(3, depthwise.channels_fit, (DType.INT64,)),
        lower=_lower_depthwise,
        why="every core; 16x8",
    ),
)
