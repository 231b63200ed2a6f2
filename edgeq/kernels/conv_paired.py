"""CONV_2D with paired weights: two pixels by four channels at a time, on cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, conv, dsp, paired
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT8, Parts, convolution_rules, parts

_SCRATCH_BYTES = 1792
"""Of columns; fewer pixels at a time when a pair takes more, but one pair at least."""


@lru_cache(maxsize=1)
def _records(graph: Graph, op: Op) -> paired.Records | None:
    """Worked out once for the rules and the lowering of one operator."""
    return paired.records(conv.matrix(parts(graph, op)))


def channels_are_fours(graph: Graph, op: Op) -> Facts | None:
    """It has {out_c} output channels, not a multiple of four."""
    out_c = parts(graph, op).window.out_c
    return None if out_c % 4 == 0 else {"out_c": out_c}


def weights_are_its_own(graph: Graph, op: Op) -> Facts | None:
    """Its weights hold several precisions, which other products share."""
    return {} if paired.is_nested(graph, op) else None


def is_dense(graph: Graph, op: Op) -> Facts | None:
    """Its filter is dilated by {dilation}."""
    w = parts(graph, op).window
    dense = (w.filter_h == 1 or w.dilation_h == 1) and (w.filter_w == 1 or w.dilation_w == 1)
    return None if dense else {"dilation": (w.dilation_h, w.dilation_w)}


def weights_pair(graph: Graph, op: Op) -> Facts | None:
    """A weight of -128 lies above a negative one: two channels don't fit one half word."""
    weights = conv.matrix(parts(graph, op)).weights
    return None if paired.half_words(weights[0::2], weights[1::2]) is not None else {}


def requantization_is_one_product(graph: Graph, op: Op) -> Facts | None:
    """A channel's requantization is not provably the high word of one product, or its sums are too large to be
    separated."""
    found = _records(graph, op)
    return None if found is not None and found.high else {}


def requantization_rounds_twice(graph: Graph, op: Op) -> Facts | None:
    """A channel's clamp is tighter than int8, it isn't shifted right, or its sums are too large."""
    return None if _records(graph, op) is not None else {}


def overlap(p: Parts) -> int:
    """How far behind the output's beginning the input must begin, at least, so that no output is written over input
    that is still to be read: bytes, negative where it may begin in front.

    Pointwise: pixels are widened before theirs are written. Others: while a row of outputs is written, what is read
    later is the input rows below those in the band.
    """
    w = p.window
    if w.batches > 1 and not w.is_pointwise:
        return out_bytes(p)
    if w.is_pointwise:
        step, pixels = 2 * _chunk(p), w.batches * w.out_h * w.out_w
        ends = [*range(step, pixels, step)[:1], *range(step, pixels, step)[-1:], *([pixels - 1] if pixels % 2 else [])]
        # behind which input is left to be read: chunks, and the pixel that has no other beside it
        return max(((w.out_c - w.in_c) * n for n in ends), default=-w.in_c * pixels)
    in_row, out_row = w.in_w * w.in_c, w.out_w * w.out_c
    unread = ((oy, oy * w.stride_h - w.pad_h + w.filter_h) for oy in range(w.out_h))
    return max(((oy + 1) * out_row - max(0, y) * in_row for oy, y in unread if y < w.in_h), default=-w.in_h * in_row)


def out_bytes(p: Parts) -> int:
    """Of the output."""
    w = p.window
    return w.batches * w.out_h * w.out_w * w.out_c


def _chunk(p: Parts) -> int:
    """Pairs of pixels at a time."""
    return max(1, min(_SCRATCH_BYTES // (4 * conv.padded_depth(p)), -(-p.window.positions // 2)))


def _columns(p: Parts) -> npt.NDArray[np.int8]:
    """The weights, [out_c][depth], in the order in which columns are gathered: of each filter row the whole words, then
    what is left of all rows."""
    w = p.window
    rows = p.weights.reshape(w.out_c, w.filter_h, w.filter_w * w.in_c)
    whole = rows.shape[2] // 4 * 4
    return np.concatenate([rows[:, :, :whole].reshape(w.out_c, -1), rows[:, :, whole:].reshape(w.out_c, -1)], axis=1)


def _band_row(p: Parts) -> int:
    """Bytes of an input row with all the padding that windows reach, in words."""
    w = p.window
    return dsp.round_up(max(w.pad_w + w.in_w, (w.out_w - 1) * w.stride_w + w.filter_w) * w.in_c, 4)


def _band_bytes(p: Parts) -> int:
    """Besides the columns: what is left of the rows of a column, and the input rows under a row of outputs."""
    whole = p.window.filter_w * p.window.in_c // 4 * 4
    return conv.padded_depth(p) - whole * p.window.filter_h + p.window.filter_h * _band_row(p)


def _lower(extra: Callable[[Parts], int]) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        found = _records(graph, op)
        packed = None if found is None else found.pack(_columns(p))
        assert packed is not None and found is not None
        chunk = _chunk(p)
        return Lowering.of_call(
            arguments=("{in0}", "{out0}", "{scratch}"),
            struct="edgeq_dsp_paired_params",
            fields={
                "window": p.window.initializer(),
                "weights": "{const:weights}",
                "records": "{const:records}",
                "depth": str(conv.padded_depth(p)),
                "chunk": str(chunk),
                "band_row": str(_band_row(p)),
                "in_zero": str(arithmetic.zero_point_of(p.inp)),
                "multiply": f"edgeq_dsp_mat_mul_paired_{'high' if found.high else 'exact'}",
            },
            constants=paired.constants(packed, found),
            scratch_bytes=chunk * 4 * conv.padded_depth(p) + extra(p),
            overlap={0: overlap(p)},
            macs=conv.macs(graph, op),
        )

    return lower


_DISTANCES = (32, 64, 128)
"""Bytes between neighbouring pixels in a widened band that there is a product for."""
_TURNS = (12, 8)
"""Pairs of inputs that are one turn of its loop; the first that a row of the filter is a multiple of."""
_TILES_TO_COPY = 4
"""A group's weights are copied to RAM where they serve so many tiles: a copy costs what reading them from flash
three times does."""
_ROOM = 640
"""Bytes: a copy that isn't larger lies on the stack, of which other kernels take as much; else behind the band."""


def _distance(p: Parts) -> int:
    return 2 * p.window.stride_w * p.window.in_c


def _turn(p: Parts) -> int:
    pairs = p.window.filter_w * p.window.in_c // 2
    return next((turn for turn in _TURNS if pairs % turn == 0), 0)


def _band(p: Parts) -> tuple[int, int]:
    """Bytes from one widened row to the next, and of all of them: a row's padding on the right is the next one's on the
    left, as far as both have some."""
    w = p.window
    pixels = max(w.pad_w + w.in_w, (w.out_w - 1) * w.stride_w + w.filter_w)
    shared = min(w.pad_w, pixels - w.pad_w - w.in_w)
    return 2 * w.in_c * (pixels - shared), 2 * w.in_c * (w.filter_h * (pixels - shared) + shared)


def widened_bands_fit(distance: int, turn: int) -> Rule:
    """A rule: windows can be used where they lie, with pixels so many bytes apart, so many pairs of inputs a turn."""

    def windows_lie_well(graph: Graph, op: Op) -> Facts | None:
        """It has {in_c} input channels, a stride of {stride} and rows of {out_w} outputs; windows are used where they
        lie with a multiple of 16 channels, 16, 32 or 64 times the stride, and an even number of outputs in a row."""
        p = parts(graph, op)
        w = p.window
        if w.in_c % 16 == 0 and _distance(p) == distance and _turn(p) == turn and w.out_w % 2 == 0:
            return None
        return {"in_c": w.in_c, "stride": w.stride_w, "out_w": w.out_w}

    return windows_lie_well


def _lower_band(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    w = p.window
    found = _records(graph, op)
    packed = None if found is None else found.pack(conv.matrix(p).weights)
    assert packed is not None and found is not None
    row, depth = w.filter_w * w.in_c, w.filter_h * w.filter_w * w.in_c
    band_row, band_bytes = _band(p)
    copied = 4 * depth if w.out_w // 2 >= _TILES_TO_COPY else 0
    room = copied if copied <= _ROOM else 0
    tiles = {
        "weights": "{const:weights}",
        "records": "{const:records}",
        "out_stride": str(w.out_c),
        "depth_bytes": str(4 * depth),
        "tiles": str(w.out_w // 2),
        "groups": str(w.out_c // 4),
        "segment": str(4 * row),
        "gap": str(band_row - 2 * row),
        "step": str(2 * _distance(p)),
        "room": str(room),
    }
    finish = "high" if found.high else "exact"
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_band_params",
        fields={
            "window": w.initializer(),
            "tiles": "{" + ", ".join(f".{name} = {value}" for name, value in tiles.items()) + "}",
            "band_row": str(band_row),
            "band_bytes": str(band_bytes),
            "copied": str(int(copied > room)),
            "in_zero": str(arithmetic.zero_point_of(p.inp)),
            "multiply": f"edgeq_dsp_mat_mul_band_{_distance(p)}_{_turn(p)}_{finish}",
        },
        constants=paired.constants(packed, found),
        scratch_bytes=band_bytes + copied - room,
        overlap={0: overlap(p)},
        macs=conv.macs(graph, op),
    )


_EVERY: tuple[Rule, ...] = (
    *convolution_rules(0, INT8),
    conv.channels_fit,
    conv.has_no_groups,
    weights_are_its_own,
    channels_are_fours,
    weights_pair,
)
_HEADERS = ("dsp/edgeq_dsp.h", "dsp/edgeq_dsp_columns.h")


_FINISH: tuple[tuple[str, str, Rule, str], ...] = (
    ("high", "one rounding", requantization_is_one_product, "6 cycles to finish an output"),
    ("exact", "two roundings", requantization_rounds_twice, "9.8 cycles to finish an output of either sign"),
)


def _rows(
    symbol: str, rules: tuple[Rule, ...], extra: Callable[[Parts], int], sources: tuple[str, ...], why: str
) -> tuple[Kernel, ...]:
    """A row for either requantization, of a kernel that makes columns."""
    return tuple(
        Kernel(
            symbol=symbol,
            op="CONV_2D",
            types=f"int8, {roundings}",
            max_version=6,
            requires=("dsp",),
            sources=(
                *_HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_paired_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_paired_{name}_dsp.S",
                *sources,
            ),
            rules=(*_EVERY, *rules, rule),
            lower=_lower(extra),
            why=f"{why}: two pixels by four channels, 15 cycles per 16 MACs; {finish}",
        )
        for name, roundings, rule, finish in _FINISH
    )


def _band_rows(distance: int, turn: int) -> tuple[Kernel, ...]:
    """The same of the kernel that makes none, with pixels so many bytes apart, so many pairs of inputs a turn."""
    return tuple(
        Kernel(
            symbol="edgeq_conv_2d_band_s8_dsp",
            op="CONV_2D",
            types=f"int8, {roundings}, pixels {distance} bytes apart, {turn} pairs a turn",
            max_version=6,
            requires=("dsp",),
            sources=(
                *_HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_band_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_band_{distance}_{turn}_{name}_dsp.S",
                "dsp/conv_2d_band_s8_dsp.c",
            ),
            rules=(*_EVERY, is_dense, widened_bands_fit(distance, turn), rule),
            lower=_lower_band,
            why="input rows are widened once, windows used where they lie: two pixels by four channels, 15 cycles per "
            f"16 MACs; {finish}",
        )
        for name, roundings, rule, finish in _FINISH
    )


KERNELS = (
    *_rows(
        "edgeq_pointwise_conv_2d_paired_s8_dsp",
        (conv.is_pointwise,),
        lambda p: 0,
        ("dsp/widen_pairs_dsp.S", "dsp/pointwise_conv_2d_paired_s8_dsp.c"),
        "1x1, nothing is gathered",
    ),
    *(row for distance in _DISTANCES for turn in _TURNS for row in _band_rows(distance, turn)),
    *_rows(
        "edgeq_conv_2d_paired_s8_dsp",
        (is_dense,),
        _band_bytes,
        ("dsp/gather_dsp.S", "dsp/conv_2d_paired_s8_dsp.c"),
        "input rows are padded once, windows widened from there",
    ),
)
