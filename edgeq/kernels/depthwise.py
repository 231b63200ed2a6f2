"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, conv, dsp, overlaps
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT4, INT8, Parts, convolution_rules, lower_portable, pack_nibbles, parts
from edgeq.kernels.high_word import SCALED, HighWord, high_word
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


def _matrix(p: Parts) -> Channels:
    """Weights as [out_c][taps]."""
    return p.channels(np.ascontiguousarray(p.weights.reshape(-1, p.window.out_c).T))


def sums_fit(scaled: int) -> Rule:
    """A rule: the DSP kernels are exact, for sums 2**scaled times what they stand for."""

    def sums_stay_small(graph: Graph, op: Op) -> Facts | None:
        """A sum may reach 2**30 or a shift 22 bits, beyond which the DSP kernels' rounding wouldn't be exact."""
        return None if dsp.sums_stay_small(_matrix(parts(graph, op)), scaled) else {}

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
    prepared = dsp.prepare(_matrix(parts(graph, op)), 1)
    if not prepared.careful and not prepared.left:
        return None
    return {"size": "above" if prepared.left else "near"}


def rounds_once(graph: Graph, op: Op) -> Facts | None:
    """It has no fused RELU with the zero point -128, or a channel's scale asks for both roundings of the reference."""
    p = parts(graph, op)
    clamped = p.act_min >= arithmetic.zero_point_of(p.out)
    return None if clamped and high_word(_matrix(p)) is not None else {}


def steps_are_short(graph: Graph, op: Op) -> Facts | None:
    """Neighbouring outputs are {step} bytes apart, more than the 16 bits that the kernel keeps of that."""
    step = _Walk.of(parts(graph, op).window).out_pixel
    return None if step < 1 << 16 else {"step": step}


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
        return conv.lower_tiles(p, _matrix(p), macs(graph, op), conv.few_scratch_bytes(p), width)

    return lower


def _lower_dsp(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    prepared = dsp.prepare(_matrix(p), 1)
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
    prepared = dsp.prepare(_matrix(p), 1)
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


_PITCHES = MappingProxyType({1: (7, 16), 2: (7, 15)})
"""By stride: rows of the strips that the assembly has a loop for."""
_LITTLE = 2048
"""Bytes of scratch that are spent in any case."""


@dataclass(frozen=True)
class _Walk:
    """How the 3x3 kernel with a strip goes through a plane, in bytes; `window` is as it is walked."""

    window: Window
    sideways: bool
    in_pixel: int
    in_row: int
    out_pixel: int
    out_row: int

    @classmethod
    def of(cls, window: Window) -> _Walk:
        sideways = walks_sideways(window)
        in_steps = (window.in_c, window.in_w * window.in_c)
        out_steps = (window.out_c, window.out_w * window.out_c)
        if sideways:
            return cls(window.transposed(), True, *in_steps[::-1], *out_steps[::-1])
        return cls(window, False, *in_steps, *out_steps)

    @property
    def pairs(self) -> int:
        """Pairs of pixels that a row of outputs reads: two outputs a step at stride 1, one at stride 2, one before."""
        out_w = self.window.out_w
        return (dsp.round_up(out_w, 2) // 2 if self.window.stride_w == 1 else out_w) + 1

    @property
    def pitch(self) -> int:
        """Rows of a strip.

        Few that hold the whole plane; else as many as are little beside the input, of which a layer with stride 2 is
        likely to have the network's largest.
        """
        w = self.window
        few, many = _PITCHES[w.stride_w]
        whole = (w.out_h - 1) * w.stride_h + 3 <= few
        room = w.batches * w.in_h * w.in_w * w.in_c // (3 if w.stride_w == 1 else 12)
        return few if whole or self.strip_bytes(many) > max(room, _LITTLE) else many

    def strip_bytes(self, pitch: int) -> int:
        """Scratch: four channels of words of two pixels."""
        return 4 * 4 * self.pairs * pitch

    @property
    def in_place(self) -> bool:
        """Whether a row of outputs never falls on pixels that are still to be widened.

        Going down, output row y lies on input rows up to y, all of which it has needed. Sideways that takes planes of
        one size. Other channels have other bytes, since both tensors have as many channels.
        """
        w = self.window
        return not self.sideways or (w.in_h, w.in_w) == (w.out_h, w.out_w)


def _lower_3x3_relu_dsp(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    found = high_word(_matrix(p))
    assert found is not None
    walk = _Walk.of(p.window)
    filters = np.where(found.fixed[:, None, None], 0, _matrix(p).weights.reshape(-1, 3, 3)).astype(np.int8)
    packed = np.ascontiguousarray(filters.transpose(0, 2, 1) if walk.sideways else filters)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_depthwise_params",
        fields=_strip_fields(walk, arithmetic.zero_point_of(p.inp)),
        constants=(
            Constant("weights", "int8_t", packed.tobytes() + bytes(3)),
            Constant("scales", "int32_t", _strip_scales(found), "parameters"),
        ),
        scratch_bytes=walk.strip_bytes(walk.pitch),
        overlap={0: 0} if walk.in_place else {},
        exactly=True,
        macs=macs(graph, op),
    )


_TURN = MappingProxyType({(1, 7): 4, (1, 16): 6, (2, 7): 6, (2, 15): 6})
"""Steps of a turn of the assembly's loop, by stride and rows of the strip."""


def _strip_fields(walk: _Walk, zero: int) -> dict[str, str]:
    """The members of `edgeq_dsp_depthwise_params`."""
    w, pitch, steps = walk.window, walk.pitch, walk.pairs - 2
    turn, odd = _TURN[w.stride_w, pitch], w.stride_w == 1 and w.out_w % 2
    turns = max(1, -(-steps // turn))
    column, channel = 4 * pitch, 4 * pitch * walk.pairs
    inner = min(w.in_w, 2 * walk.pairs - w.pad_w) - w.pad_w
    most = (pitch - 3) // w.stride_h + 1
    # Widening doesn't fill a column of padding alone, nor, where the plane is one strip, rows of padding.
    prepared = most >= w.out_h or 2 * walk.pairs - w.pad_w - w.in_w > 1
    widening = {
        "step": walk.in_pixel,
        "row": walk.in_row,
        "channel_bytes": channel,
        "column_bytes": column,
        "pairs": inner // 2,
        "pad": w.pad_w,
        "last": inner % 2,
        "zero": f"0x{zero % 256 * 0x01010101:08x}u",
    }
    strip = {
        "weights": "{const:weights}",
        "scales": "{const:scales}",
        "in_row": 4 * w.stride_h - column * (walk.pairs - 1),
        "out_gap": walk.out_row - (w.out_w - (0 if odd else 1)) * walk.out_pixel,
        "channel_bytes": channel,
        "count": f"0x{(turns - 1) << 16 | walk.out_pixel:x}u",
        "skipped": turn * turns - steps,
        "odd": int(odd),
    }
    fields = {
        "batches": w.batches,
        "channels": w.in_c,
        "in_h": w.in_h,
        "out_h": w.out_h,
        "stride": w.stride_h,
        "pad": w.pad_h,
        "in_row": walk.in_row,
        "out_row": walk.out_row,
        "in_rest": (w.in_h * w.in_w - 1) * w.in_c,
        "out_rest": (w.out_h * w.out_w - 1) * w.in_c,
        "columns": 4 * walk.pairs,
        "words": 4 * walk.pairs * pitch if prepared else 0,
        "most": most,
        "zero": zero * 0x10000 + zero % 0x10000,
        "widening": "{" + ", ".join(f".{name} = {value}" for name, value in widening.items()) + "}",
        "strip": "{" + ", ".join(f".{name} = {value}" for name, value in strip.items()) + "}",
        "rows": f"edgeq_dsp_depthwise_relu_{w.stride_w}_{pitch}",
    }
    return {name: str(value) for name, value in fields.items()}


def _strip_scales(found: HighWord) -> bytes:
    """Multiplier and bias of each channel; the multiplier's sign bit says that its weights are little scaled."""
    little = np.where(found.scaled == SCALED[0], 0, 1 << 31)
    words = np.stack([found.multiplier | little, found.bias & 0xFFFFFFFF], axis=1)
    return bytes(words.astype("<u4").tobytes())


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


def _relu_row(every: tuple[Rule, ...]) -> Kernel:
    return Kernel(
        symbol="edgeq_depthwise_3x3_relu_s8_dsp",
        op="DEPTHWISE_CONV_2D",
        types="int8",
        max_version=6,
        requires=("dsp",),
        sources=(
            "dsp/edgeq_dsp.h",
            "dsp/edgeq_depthwise_dsp.h",
            "dsp/depthwise_3x3_relu_s8_dsp.c",
            "dsp/depthwise_3x3_relu_s8_dsp.S",
        ),
        rules=(*every, keeps_channels, is_plain_3x3, steps_are_short, rounds_once),
        lower=_lower_3x3_relu_dsp,
        why="3x3 with a fused RELU: rows widened once into strips, 29 cycles for two outputs, one rounding; in place",
    )


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
        *((_relu_row(every),) if weights == INT8 else ()),
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
