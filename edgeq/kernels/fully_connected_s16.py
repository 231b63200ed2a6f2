"""FULLY_CONNECTED on int16 activations with int8 weights."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, overlaps, rules, wide, windows
from edgeq.kernels.contract import Constant, Kernel, Lowering
from edgeq.kernels.convolution import bias_fits, scale_pairs, weight_scales
from edgeq.kernels.fully_connected import channels_are_symmetric, shapes_fit, weights_are_plain
from edgeq.kernels.types import INT8, INT16


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, weights, bias, out = (
        graph.input_of(op, 0),
        graph.input_of(op, 1),
        graph.input_of(op, 2),
        graph.output_of(op),
    )
    assert inp is not None and weights is not None and weights.data is not None and weights.quant is not None
    outputs, depth = weights.shape
    values = np.zeros(outputs, np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
    if weights.quant.per_channel:
        multipliers = arithmetic.convolution_multipliers(inp, weights, out, outputs)
    else:
        multipliers = (arithmetic.fully_connected_multiplier(inp, weights, out),)
    rows = inp.elements // depth
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_fully_connected_s16_params",
        fields={
            "rows": str(rows),
            "depth": str(depth),
            "outputs": str(outputs),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_scale *){const:scales}",
            "scale_step": "1" if len(multipliers) > 1 else "0",
            "weights_zero": str(arithmetic.zero_point_of(weights)),
            "narrow": str(int(wide.sums_in_32_bits(graph, op))),
            **windows.activation_fields(op, out),
        },
        constants=(
            Constant("weights", "int8_t", weights.data.astype(np.int8).tobytes()),
            Constant("bias", "int64_t", values.reshape(-1).astype("<i8").tobytes()),
            Constant("scales", "int32_t", scale_pairs(multipliers), "parameters"),
        ),
        overlap={0: overlaps.rows(rows, 2 * depth, 2 * outputs, ahead=2 * (outputs - 1))},
        macs=rows * weights.elements,
    )


KERNELS = (
    Kernel(
        symbol="edgeq_fully_connected_s16",
        op="FULLY_CONNECTED",
        types="int16 (int8 weights)",
        max_version=12,
        sources=("portable/fully_connected_s16.c",),
        rules=(
            rules.arity(2, 3),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT16, INT8, (DType.INT64, DType.INT32)), INT16),
            rules.constant(1, "weights"),
            rules.constant(2, "biases"),
            shapes_fit,
            weights_are_plain,
            rules.quantization_is_usable(0),
            wide.zero_points_are_zero,
            weight_scales(axis=0),
            channels_are_symmetric,
            wide.wide_factor_is_defined(0, 1),
            bias_fits,
            rules.activation_is_known,
            rules.activation_range_fits,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower,
        why="every core; 16x8",
    ),
)
