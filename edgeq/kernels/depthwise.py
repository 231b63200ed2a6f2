"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import conv, dsp, overlaps
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT4, INT8, Parts, convolution_rules, lower_portable, pack_nibbles, parts
from edgeq.kernels.windows import Window


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
    return lower_portable(
        graph,
        op,
        group=window.out_c // window.in_c,
        macs=macs(graph, op),
        ahead=window.out_c - window.in_c,  # channel c reads channel c / multiplier
        in_step=True,
    )


def matrix(p: Parts) -> Channels:
    """Weights as [out_c][taps]."""
    return p.channels(np.ascontiguousarray(p.weights.reshape(-1, p.window.out_c).T))


def sums_fit(scaled: int) -> Rule:
    """A rule: the DSP kernels are exact, for sums 2**scaled times what they stand for."""

    def sums_stay_small(graph: Graph, op: Op) -> Facts | None:
        """A sum may reach 2**30 or a shift 22 bits, beyond which the DSP kernels' rounding wouldn't be exact."""
        return None if dsp.sums_stay_small(matrix(parts(graph, op)), scaled) else {}

    return sums_stay_small


def is_plain_3x3(graph: Graph, op: Op) -> Facts | None:
    """It is a {filter} filter with stride {stride}, dilation {dilation} and {pad} elements padded, over {in_c}
    channels: not 3x3, stride 1 or 2, over a multiple of four channels."""
    w = parts(graph, op).window
    sound = (w.filter_h, w.filter_w, w.dilation_h, w.dilation_w) == (3, 3, 1, 1) and w.in_c % 4 == 0
    if sound and _is_walkable(w):
        return None
    return {
        "filter": f"{w.filter_h}x{w.filter_w}",
        "stride": (w.stride_h, w.stride_w),
        "dilation": (w.dilation_h, w.dilation_w),
        "pad": (w.pad_h, w.pad_w),
        "in_c": w.in_c,
    }


def scales_are_plain(graph: Graph, op: Op) -> Facts | None:
    """A channel's scale is {size} one, or the clamp is tighter than int8: the general DSP kernel takes that."""
    prepared = dsp.prepare(matrix(parts(graph, op)), 1)
    if not prepared.careful and not prepared.left:
        return None
    return {"size": "above" if prepared.left else "near"}


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


def _as_conv(width: dsp.Width) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        return conv.lower_tiles(p, matrix(p), macs(graph, op), conv.few_scratch_bytes(p), width)

    return lower


def _lower_dsp(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    prepared = dsp.prepare(matrix(p), 1)
    taps = dsp.round_up(prepared.weights.shape[1], 2)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_conv_params",
        fields=conv.dsp_fields(p, taps),
        constants=dsp.constants(dsp.pack_taps(np.ascontiguousarray(prepared.weights.T)), prepared),
        scratch_bytes=4 * taps + p.window.in_c,
        overlap={0: overlaps.windows(p.window, in_step=True)},
        macs=macs(graph, op),
    )


def _lower_3x3_dsp(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    prepared = dsp.prepare(matrix(p), 1)
    sideways = walks_sideways(p.window)
    w = p.window.transposed() if sideways else p.window
    filters = prepared.weights.reshape(-1, 3, 3)
    packed = dsp.pack_filter_rows(filters.transpose(0, 2, 1) if sideways else filters)
    # Two outputs a time read four elements at stride 1 and five (in words: six) at stride 2.
    pairs = dsp.round_up(w.out_w, 2)
    row = max(dsp.round_up(w.in_w + w.pad_w, 2), pairs + 2 if w.stride_w == 1 else 2 * pairs + 2)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_conv_params",
        fields={
            **conv.dsp_fields(p, row),
            "window": w.initializer(),
            "sideways": "1" if sideways else "0",
        },
        constants=dsp.constants(packed, prepared),
        scratch_bytes=3 * 4 * 2 * row,
        macs=macs(graph, op),
    )


def _unpacked(lower: Callable[[Graph, Op], Lowering]) -> Callable[[Graph, Op], Lowering]:
    """The lowering with int4 weights: packed as they come, unpacked into scratch before the int8 kernel runs.

    There are few of them: nine or so a channel, for each of which every output position has as many products.
    """

    def lower_int4(graph: Graph, op: Op) -> Lowering:
        made = lower(graph, op)
        (call,) = made.calls
        weights, *others = made.constants
        count = len(weights.data)
        fields = {**call.fields, "unpacked": str(count)}
        return replace(
            made,
            calls=(replace(call, fields=MappingProxyType(fields)),),
            constants=(replace(weights, data=pack_nibbles(np.frombuffer(weights.data, np.int8))), *others),
            scratch_bytes=dsp.round_up(count, 4) + made.scratch_bytes,
        )

    return lower_int4


def walks_sideways(window: Window) -> bool:
    """Whether rows along the plane's height are worth it: long rows cost less per output, and both ways must be
    ones that the kernel can walk."""
    other = window.transposed()
    return window.out_h >= 2 * window.out_w and _is_walkable(window) and _is_walkable(other)


def _is_walkable(w: Window) -> bool:
    return w.stride_w in (1, 2) and w.pad_w <= 1 and w.pad_h <= 2 and w.stride_h <= 3


def _rows(types: str, weights: tuple[DType, ...], width: dsp.Width, name: str, max_version: int) -> tuple[Kernel, ...]:
    """The rows for weights of one width. name: "s8" or "s4"."""
    every = (*convolution_rules(3, weights), channels_fit)
    small = sums_fit(0)
    own: tuple[str, ...] = ()
    lower_3x3: Callable[[Graph, Op], Lowering] = _lower_3x3_dsp
    lower_any: Callable[[Graph, Op], Lowering] = _lower_dsp
    if weights == INT4:
        own = (f"dsp/depthwise_{name}_dsp.h",)
        lower_3x3, lower_any = _unpacked(lower_3x3), _unpacked(lower_any)

    def special(kernel: str, sources: tuple[str, ...], rules: tuple[Rule, ...], why: str) -> Kernel:
        extra = (*own, f"dsp/{kernel}_{name}_dsp.c") if own else ()
        return Kernel(
            symbol=f"edgeq_{kernel}_{name}_dsp",
            op="DEPTHWISE_CONV_2D",
            types=types,
            max_version=max_version,
            requires=("dsp",),
            sources=("dsp/edgeq_dsp.h", *sources, *extra),
            rules=(*every, small, keeps_channels, *rules),
            lower=lower_3x3 if rules else lower_any,
            why=why,
        )

    return (
        Kernel(
            symbol="edgeq_conv_2d_few_s8_dsp",
            op="DEPTHWISE_CONV_2D",
            types=types,
            max_version=max_version,
            requires=("dsp",),
            sources=(*conv.tile_sources(width), conv.FEW),
            rules=(*every, sums_fit(width.scaled), has_one_input_channel),
            lower=_as_conv(width),
            why="over one input channel it is a CONV_2D",
        ),
        special(
            "depthwise_3x3",
            ("dsp/depthwise_3x3_s8_dsp.c", "dsp/depthwise_3x3_s8_dsp.S"),
            (is_plain_3x3, scales_are_plain),
            "3x3: channel by channel over widened rows, 53 cycles for two outputs",
        ),
        special("depthwise_conv_2d", ("dsp/depthwise_conv_2d_s8_dsp.c",), (), "four channels and two taps at a time"),
        Kernel(
            symbol=f"edgeq_depthwise_conv_2d_{name}",
            op="DEPTHWISE_CONV_2D",
            types=types,
            max_version=max_version,
            sources=(f"portable/depthwise_conv_2d_{name}.c",),
            rules=every,
            lower=_lower,
            why="every core; any filter, stride, dilation and depth multiplier",
        ),
    )


KERNELS = (*_rows("int8, int4 weights", INT4, dsp.INT4, "s4", 7), *_rows("int8", INT8, dsp.INT8, "s8", 6))
