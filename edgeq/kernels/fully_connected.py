"""FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, dsp, overlaps, rules
from edgeq.kernels.arithmetic import Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT4, INT8, bias_fits, packed_weights, scale_pairs, weight_scales


@dataclass(frozen=True)
class Parts:
    """The operator taken apart: weights int8 (int4 unpacked) [outputs][depth], bias int32 (outputs,), one multiplier or
    one each."""

    rows: int
    depth: int
    outputs: int
    inp: Tensor
    out: Tensor
    filter: Tensor
    weights: npt.NDArray[np.int8]
    weights_zero: int
    bias: npt.NDArray[np.int32]
    multipliers: tuple[Multiplier, ...]
    act_min: int
    act_max: int


def parts(graph: Graph, op: Op) -> Parts:
    """Take it apart; its rules hold."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    bias = graph.input_of(op, 2)
    assert inp is not None and weights is not None and weights.data is not None and weights.quant is not None
    outputs, depth = weights.shape
    if weights.quant.per_channel:
        multipliers = arithmetic.convolution_multipliers(inp, weights, out, outputs)
    else:
        multipliers = (arithmetic.fully_connected_multiplier(inp, weights, out),)
    values = np.zeros(outputs, np.int32) if bias is None or bias.data is None else bias.data.astype(np.int32)
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out)
    return Parts(
        rows=inp.elements // depth,
        depth=depth,
        outputs=outputs,
        inp=inp,
        out=out,
        filter=weights,
        weights=weights.data.astype(np.int8),
        weights_zero=arithmetic.zero_point_of(weights),
        bias=values.reshape(-1),
        multipliers=multipliers,
        act_min=low,
        act_max=high,
    )


def shapes_fit(graph: Graph, op: Op) -> Facts | None:
    """Input {in_shape}, weights {weights} and output {out_shape} don't belong together: the file is damaged."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    if len(weights.shape) == 2:
        outputs, depth = weights.shape
        whole_rows = inp.elements % depth == 0 and out.shape[-1:] == (outputs,)
        if whole_rows and out.elements == inp.elements // depth * outputs:
            return None
    return {"in_shape": list(inp.shape), "weights": list(weights.shape), "out_shape": list(out.shape)}


def weights_are_plain(graph: Graph, op: Op) -> Facts | None:
    """The weights are stored in the format {format}; only DEFAULT is meant for other runtimes than the one it was
    shuffled for: convert the model again."""
    layout = op.text("weights_format", "DEFAULT")
    return None if layout == "DEFAULT" else {"format": layout}


def channels_are_symmetric(graph: Graph, op: Op) -> Facts | None:
    """The weights '{tensor}' have a scale per channel, and the zero point {zero_point} in channel {channel}; the
    reference takes it for 0 then: convert the model again."""
    weights = graph.input_of(op, 1)
    assert weights is not None and weights.quant is not None
    channels = np.flatnonzero(weights.quant.zero_point)
    if not weights.quant.per_channel or channels.size == 0:
        return None
    channel = int(channels[0])
    zero_point = int(weights.quant.zero_point[channel])
    return {"tensor": weights.short_name, "zero_point": zero_point, "channel": channel}


def fully_connected_rules(weights: tuple[DType, ...] = INT8) -> tuple[Rule, ...]:
    """The rules of the operator with weights of these types."""
    return (
        rules.arity(2, 3),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((INT8, weights, (DType.INT32,)), INT8),
        rules.constant(1, "weights"),
        rules.constant(2, "biases"),
        shapes_fit,
        weights_are_plain,
        rules.quantization_is_usable(0),
        weight_scales(axis=0),
        channels_are_symmetric,
        rules.factor_is_defined(0, 1),
        bias_fits,
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
    )


def _lower(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_fully_connected_params",
        fields={
            "rows": str(p.rows),
            "depth": str(p.depth),
            "outputs": str(p.outputs),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_scale *){const:scales}",
            "scale_step": "1" if len(p.multipliers) > 1 else "0",
            "in_zero": str(arithmetic.zero_point_of(p.inp)),
            "weights_zero": str(p.weights_zero),
            "out_zero": str(arithmetic.zero_point_of(p.out)),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
        },
        constants=(
            Constant("weights", "int8_t", packed_weights(p.filter, p.weights)),
            Constant("bias", "int32_t", p.bias.astype("<i4").tobytes()),
            Constant("scales", "int32_t", scale_pairs(p.multipliers), "parameters"),
        ),
        overlap={0: overlaps.rows(p.rows, p.depth, p.outputs, ahead=p.outputs - 1)},
        macs=p.rows * p.weights.size,
    )


def lower_rows(rows: int, channels: Channels, macs: int, width: dsp.Width = dsp.INT8) -> Lowering:
    """The call of the DSP kernel: weights [outputs][depth] times each of `rows` input vectors."""
    outputs, used = channels.weights.shape
    depth = dsp.round_up(used, 4)
    prepared = dsp.prepare(channels, 2, width.scaled)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_fully_connected_params",
        fields={
            "rows": str(rows),
            "depth": str(depth),
            "depth_used": str(used),
            "outputs": str(outputs),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_dsp_scale *){const:scales}",
            "scale_step": "sizeof(edgeq_dsp_scale)" if len(channels.multipliers) > 1 else "0",
            "act_min": str(channels.act_min),
            "act_max": str(channels.act_max),
            "multiply": width.rows,
        },
        constants=dsp.constants(width.pack_rows(prepared.weights), prepared),
        scratch_bytes=2 * depth,
        overlap={0: overlaps.rows(rows, used, outputs)},
        macs=macs,
    )


def channels_of(p: Parts) -> Channels:
    """Its outputs as channels."""
    return Channels.between(p.inp, p.out, p.weights, p.bias, p.multipliers, (p.act_min, p.act_max))


def _lower_dsp(width: dsp.Width) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        return lower_rows(p.rows, channels_of(p), p.rows * p.weights.size, width)

    return lower


def weights_are_symmetric(graph: Graph, op: Op) -> Facts | None:
    """The weights have the zero point {zero_point}, which the portable kernel serves."""
    zero = parts(graph, op).weights_zero
    return None if zero == 0 else {"zero_point": zero}


def sums_fit(width: dsp.Width) -> Rule:
    """A rule: the DSP kernel for weights of this width is exact."""

    def sums_stay_small(graph: Graph, op: Op) -> Facts | None:
        """A sum may reach 2**30 or a shift 22 bits, beyond which the DSP kernels' rounding wouldn't be exact."""
        return None if dsp.sums_stay_small(channels_of(parts(graph, op)), width.scaled) else {}

    return sums_stay_small


def dsp_sources(width: dsp.Width) -> tuple[str, ...]:
    """The files behind the DSP kernel for weights of this width."""
    return ("dsp/edgeq_dsp.h", "dsp/fully_connected_s8_dsp.c", "dsp/mat_vec_dsp.inc", width.rows_source)


def _rows(types: str, weights: tuple[DType, ...], width: dsp.Width, portable: str) -> tuple[Kernel, ...]:
    every = fully_connected_rules(weights)
    return (
        Kernel(
            symbol="edgeq_fully_connected_s8_dsp",
            op="FULLY_CONNECTED",
            types=types,
            max_version=12,
            requires=("dsp",),
            sources=dsp_sources(width),
            rules=(*every, weights_are_symmetric, sums_fit(width)),
            lower=_lower_dsp(width),
            why=f"eight rows at a time, {width.rows_pace}",
        ),
        Kernel(
            symbol=portable,
            op="FULLY_CONNECTED",
            types=types,
            max_version=12,
            sources=(f"portable/{portable.removeprefix('edgeq_')}.c",),
            rules=every,
            lower=_lower,
            why="every core; weights with a zero point everywhere",
        ),
    )


KERNELS = (
    *_rows("int8, int4 weights", INT4, dsp.INT4, "edgeq_fully_connected_s4"),
    *_rows("int8", INT8, dsp.INT8, "edgeq_fully_connected_s8"),
)
