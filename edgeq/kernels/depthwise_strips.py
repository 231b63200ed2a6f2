"""DEPTHWISE_CONV_2D, 3x3 with a fused RELU, on cores with the DSP extension: in strips of rows, widened once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, depthwise, dsp
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT8, convolution_rules, parts
from edgeq.kernels.high_word import SCALED, HighWord, high_word
from edgeq.kernels.windows import Window


@dataclass(frozen=True)
class _Loop:
    """One of the assembly's functions.

    Attributes:
        stride: along a row, 1 or 2.
        pitch: rows of a strip.
        turn: steps of a turn of the loop.
    """

    stride: int
    pitch: int
    turn: int

    @property
    def name(self) -> str:
        """Of its file, and behind a prefix its own."""
        return f"depthwise_relu_{self.stride}_{self.pitch}"


_LOOPS = (
    _Loop(1, 7, 4),  # the shorter turn for its size: what small planes take, as those of keyword networks
    _Loop(1, 16, 6),
    _Loop(2, 7, 6),
    _Loop(2, 15, 6),
)
"""One for each stride and size of strip. Loops for certain distances between outputs saved 1.4 % of the person
detector's cycles and took 2.7 KB."""
_PITCHES = {stride: sorted({loop.pitch for loop in _LOOPS if loop.stride == stride}) for stride in (1, 2)}
_LITTLE = 2048
"""Bytes of scratch that are spent in any case."""


@dataclass(frozen=True)
class _Walk:
    """How the kernel goes through a plane, in bytes; `window` is as it is walked."""

    window: Window
    sideways: bool
    in_pixel: int
    in_row: int
    out_pixel: int
    out_row: int

    @classmethod
    def of(cls, graph: Graph, op: Op) -> _Walk:
        window = parts(graph, op).window
        sideways = depthwise.walks_sideways(window)
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


def _lower(graph: Graph, op: Op, loop: _Loop) -> Lowering:
    p = parts(graph, op)
    matrix = depthwise.matrix(p)
    found = high_word(matrix)
    assert found is not None
    walk = _Walk.of(graph, op)
    filters = np.where(found.fixed[:, None, None], 0, matrix.weights.reshape(-1, 3, 3)).astype(np.int8)
    packed = np.ascontiguousarray(filters.transpose(0, 2, 1) if walk.sideways else filters)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_depthwise_params",
        fields=_fields(walk, loop, arithmetic.zero_point_of(p.inp)),
        constants=(
            Constant("weights", "int8_t", packed.tobytes() + bytes(3)),
            Constant("scales", "int32_t", _scales(found), "parameters"),
        ),
        scratch_bytes=walk.strip_bytes(loop.pitch),
        overlap={0: 0} if walk.in_place else {},
        exactly=True,
        macs=depthwise.macs(graph, op),
    )


def _fields(walk: _Walk, loop: _Loop, zero: int) -> dict[str, str]:
    """The members of `edgeq_dsp_depthwise_params`."""
    w, pitch = walk.window, loop.pitch
    most = (pitch - 3) // w.stride_h + 1
    # Widening doesn't fill a column of padding alone, nor, where the plane is one strip, rows of padding.
    prepared = most >= w.out_h or 2 * walk.pairs - w.pad_w - w.in_w > 1
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
        "widening": _initializer(_widening(walk, pitch, zero)),
        "strip": _initializer(_strip(walk, loop)),
        "rows": f"edgeq_dsp_{loop.name}",
    }
    return {name: str(value) for name, value in fields.items()}


def _widening(walk: _Walk, pitch: int, zero: int) -> dict[str, object]:
    w = walk.window
    inner = min(w.in_w, 2 * walk.pairs - w.pad_w) - w.pad_w
    return {
        "step": walk.in_pixel,
        "row": walk.in_row,
        "channel_bytes": 4 * pitch * walk.pairs,
        "column_bytes": 4 * pitch,
        "pairs": inner // 2,
        "pad": w.pad_w,
        "last": inner % 2,
        "zero": f"0x{zero % 256 * 0x01010101:08x}u",
    }


def _strip(walk: _Walk, loop: _Loop) -> dict[str, object]:
    w, column, steps = walk.window, 4 * loop.pitch, walk.pairs - 2
    turns = max(1, -(-steps // loop.turn))
    odd = w.stride_w == 1 and w.out_w % 2 == 1
    return {
        "weights": "{const:weights}",
        "scales": "{const:scales}",
        "in_row": 4 * w.stride_h - column * (walk.pairs - 1),
        "out_gap": walk.out_row - (w.out_w - (0 if odd else 1)) * walk.out_pixel,
        "channel_bytes": column * walk.pairs,
        "count": f"0x{(turns - 1) << 16 | walk.out_pixel:x}u",
        "skipped": loop.turn * turns - steps,
        "odd": int(odd),
    }


def _initializer(members: dict[str, object]) -> str:
    return "{" + ", ".join(f".{name} = {value}" for name, value in members.items()) + "}"


def _scales(found: HighWord) -> bytes:
    """Multiplier and bias of each channel; the multiplier's sign bit says that its weights are little scaled."""
    little = np.where(found.scaled == SCALED[0], 0, 1 << 31)
    words = np.stack([found.multiplier | little, found.bias & 0xFFFFFFFF], axis=1)
    return np.asarray(words & 0xFFFFFFFF, np.uint32).astype("<u4").tobytes()


def rounds_once(graph: Graph, op: Op) -> Facts | None:
    """It has no fused RELU with the zero point -128, or a channel's scale asks for both roundings of the reference."""
    p = parts(graph, op)
    clamped = p.act_min >= arithmetic.zero_point_of(p.out)
    return None if clamped and high_word(depthwise.matrix(p)) is not None else {}


def steps_are_short(graph: Graph, op: Op) -> Facts | None:
    """Neighbouring outputs are {step} bytes apart, more than the 16 bits that the kernel keeps of that."""
    step = _Walk.of(graph, op).out_pixel
    return None if step < 1 << 16 else {"step": step}


def _takes(loop: _Loop) -> Rule:
    def has_this_loop(graph: Graph, op: Op) -> Facts | None:
        """With stride {stride} and strips of {pitch} rows it takes another loop."""
        walk = _Walk.of(graph, op)
        stride = walk.window.stride_w
        return None if (stride, walk.pitch) == (loop.stride, loop.pitch) else {"stride": stride, "pitch": walk.pitch}

    return has_this_loop


def _row(loop: _Loop) -> Kernel:
    def lower(graph: Graph, op: Op) -> Lowering:
        return _lower(graph, op, loop)

    return Kernel(
        symbol="edgeq_depthwise_3x3_relu_s8_dsp",
        op="DEPTHWISE_CONV_2D",
        types=f"int8, stride {loop.stride}, strips of {loop.pitch} rows",
        max_version=6,
        requires=("dsp",),
        sources=(
            "dsp/edgeq_dsp.h",
            "dsp/edgeq_depthwise_dsp.h",
            "dsp/depthwise_3x3_relu_s8_dsp.c",
            "dsp/depthwise_strip_dsp.S",
            "dsp/depthwise_relu_dsp.inc",
            f"dsp/{loop.name}_dsp.S",
        ),
        rules=(
            *convolution_rules(3, INT8),
            depthwise.channels_fit,
            depthwise.keeps_channels,
            depthwise.is_plain_3x3,
            steps_are_short,
            _takes(loop),
            rounds_once,
        ),
        lower=lower,
        why=f"3x3 with a fused RELU: rows widened once into strips, one rounding, in place; "
        f"{'29 cycles for two outputs' if loop.stride == 1 else '14 cycles for an output'}",
    )


KERNELS = tuple(_row(loop) for loop in _LOOPS)
