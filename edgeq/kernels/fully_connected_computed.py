"""FULLY_CONNECTED by weights that another operator makes: how converters before BATCH_MATMUL write a product of two
activations. int8 and float32."""

from __future__ import annotations

import numpy as np

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering
from edgeq.kernels.convolution import bias_fits, scale_pairs
from edgeq.kernels.float_layers import activation_limits
from edgeq.kernels.fully_connected import shapes_fit, weights_are_plain
from edgeq.kernels.types import FLOAT, INT8, SUFFIX

_ARGUMENTS = ("{in0}", "{in1}", "{out0}")


def weights_are_computed(graph: Graph, op: Op) -> Facts | None:
    """Its weights ('{tensor}') are in the file; the kernels for those serve it."""
    weights = graph.input_of(op, 1)
    assert weights is not None
    return {"tensor": weights.short_name} if weights.is_constant else None


def _sizes(inp: Tensor, weights: Tensor) -> tuple[dict[str, str], int]:
    outputs, depth = weights.shape
    rows = inp.elements // depth
    sizes = {"rows": str(rows), "depth": str(depth), "outputs": str(outputs), "weights": "0"}
    return sizes, rows * weights.elements


def _bias(graph: Graph, op: Op, outputs: int, dtype: str) -> bytes:
    bias = graph.input_of(op, 2)
    values = np.zeros(outputs) if bias is None or bias.data is None else bias.data.reshape(-1)
    return values.astype(dtype).tobytes()


def _lower_s8(graph: Graph, op: Op) -> Lowering:
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out)
    sizes, macs = _sizes(inp, weights)
    scale = scale_pairs((arithmetic.fully_connected_multiplier(inp, weights, out),))
    return Lowering.of_call(
        arguments=_ARGUMENTS,
        struct="edgeq_fully_connected_params",
        fields={
            **sizes,
            "bias": "{const:bias}",
            "scales": "(const edgeq_scale *){const:scales}",
            "scale_step": "0",
            "in_zero": str(arithmetic.zero_point_of(inp)),
            "weights_zero": str(arithmetic.zero_point_of(weights)),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "act_min": str(low),
            "act_max": str(high),
        },
        constants=(
            Constant("bias", "int32_t", _bias(graph, op, weights.shape[0], "<i4")),
            Constant("scales", "int32_t", scale, "parameters"),
        ),
        macs=macs,
    )


def _lower_f32(graph: Graph, op: Op) -> Lowering:
    inp, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and weights is not None
    sizes, macs = _sizes(inp, weights)
    return Lowering.of_call(
        arguments=_ARGUMENTS,
        struct="edgeq_fully_connected_f32_params",
        fields={**sizes, "bias": "{const:bias}", **activation_limits(op)},
        constants=(Constant("bias", "float", _bias(graph, op, weights.shape[0], "<f4")),),
        macs=macs,
    )


_QUANTIZED = (rules.quantization_is_usable(0, 1), rules.factor_is_defined(0, 1))

KERNELS = tuple(
    Kernel(
        symbol=f"edgeq_fully_connected_computed_{SUFFIX[dtype]}",
        op="FULLY_CONNECTED",
        types=f"{dtype.value.lower()}, weights computed",
        max_version=12,
        sources=(f"portable/fully_connected_{SUFFIX[dtype]}.c",),
        rules=(
            rules.arity(2, 3),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,), (dtype,), (bias,)), (dtype,)),
            weights_are_computed,
            rules.constant(2, "biases"),
            shapes_fit,
            weights_are_plain,
            *quantized,
            bias_fits,
            rules.activation_is_known,
            *((rules.activation_range_fits,) if quantized else ()),
            rules.activations_come_from_the_arena,
        ),
        lower=lower,
        why="every core; weights of another operator",
    )
    for (dtype,), bias, quantized, lower in (
        (INT8, DType.INT32, _QUANTIZED, _lower_s8),
        (FLOAT, DType.FLOAT32, (), _lower_f32),
    )
)
