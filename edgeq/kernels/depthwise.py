"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

import numpy as np

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, conv, dsp
from edgeq.kernels.contract import Facts, Kernel, Lowering
from edgeq.kernels.convolution import convolution_rules, lower_portable, parts


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates, those that fall on padding included."""
    p = parts(graph, op)
    return p.window.positions * p.weights.size


def channels_fit(graph: Graph, op: Op) -> Facts | None:
    """The weights {weights} and the depth multiplier {multiplier} don't fit the input's {in_c} and the output's {out_c}
    channels: the file is damaged."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    in_c, out_c = inp.shape[3], out.shape[3]
    if weights.shape[0] == 1 and weights.shape[3] == out_c and out_c % in_c == 0:
        return None  # the reference takes out_c / in_c too, whatever the option says
    return {
        "weights": list(weights.shape),
        "multiplier": op.integer("depth_multiplier"),
        "in_c": in_c,
        "out_c": out_c,
    }


def _lower(graph: Graph, op: Op) -> Lowering:
    window = parts(graph, op).window
    return lower_portable(graph, op, group=window.out_c // window.in_c, macs=macs(graph, op))


def sums_stay_small(graph: Graph, op: Op) -> Facts | None:
    """A sum may reach 2**30 or a shift 22 bits, beyond which the DSP kernels' rounding wouldn't be exact."""
    p = parts(graph, op)
    weights = p.weights.reshape(-1, p.window.out_c).T
    return None if dsp.sums_stay_small(weights, p.bias, p.multipliers) else {}


def has_one_input_channel(graph: Graph, op: Op) -> Facts | None:
    """The input has {in_c} channels; with one, this would be a CONV_2D."""
    in_c = parts(graph, op).window.in_c
    return None if in_c == 1 else {"in_c": in_c}


def keeps_channels(graph: Graph, op: Op) -> Facts | None:
    """Each of {in_c} input channels makes {multiplier} output channels, which the portable kernel serves."""
    window = parts(graph, op).window
    if window.in_c == window.out_c:
        return None
    return {"in_c": window.in_c, "multiplier": window.out_c // window.in_c}


def _lower_as_conv(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    weights = np.ascontiguousarray(p.weights.reshape(-1, p.window.out_c).T)
    return conv.lower_tiles(p, weights, macs(graph, op), direct=False)


def _lower_dsp(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    channels = p.window.out_c
    weights = p.weights.reshape(-1, channels)
    taps = dsp.round_up(weights.shape[0], 2)
    in_zero, out_zero = arithmetic.zero_point_of(p.inp), arithmetic.zero_point_of(p.out)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_conv_params",
        fields={
            "window": p.window.initializer(),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "(const edgeq_dsp_scale *){const:scales}",
            "depth": str(taps),
            "in_zero": str(in_zero),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
        },
        constants=dsp.constants(
            dsp.pack_taps(weights),
            dsp.folded_bias(p.bias, weights.astype(np.int64).sum(axis=0), in_zero, 1),
            dsp.scale_records(p.multipliers, out_zero, p.act_min, p.act_max, 1),
        ),
        scratch_bytes=4 * taps + channels,
        macs=macs(graph, op),
    )


RULES = (*convolution_rules(axis=3), channels_fit)

KERNELS = (
    Kernel(
        symbol="edgeq_conv_2d_s8_dsp",
        op="DEPTHWISE_CONV_2D",
        types="int8",
        max_version=6,
        requires=("dsp",),
        sources=conv.TILE_SOURCES,
        rules=(*RULES, sums_stay_small, has_one_input_channel),
        lower=_lower_as_conv,
        why="over one input channel it is a CONV_2D",
    ),
    Kernel(
        symbol="edgeq_depthwise_conv_2d_s8_dsp",
        op="DEPTHWISE_CONV_2D",
        types="int8",
        max_version=6,
        requires=("dsp",),
        sources=("dsp/edgeq_dsp.h", "dsp/depthwise_conv_2d_s8_dsp.c"),
        rules=(*RULES, sums_stay_small, keeps_channels),
        lower=_lower_dsp,
        why="four channels and two taps at a time",
    ),
    Kernel(
        symbol="edgeq_depthwise_conv_2d_s8",
        op="DEPTHWISE_CONV_2D",
        types="int8",
        max_version=6,
        sources=("portable/depthwise_conv_2d_s8.c",),
        rules=RULES,
        lower=_lower,
        why="every core; any filter, stride, dilation and depth multiplier",
    ),
)
