"""CONV_2D with paired weights: two pixels by four channels at a time, on cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    1x1: pixels are widened before theirs are written. Others: while a row of outputs is written, what is read
    later is the input rows below those in the band.
    """
    w = p.window
    if _is_one_pixel(p):
        return max((w.out_c * n - at for n, at in _left(p)), default=-w.batches * w.in_h * w.in_w * w.in_c)
    if w.batches > 1:
        return out_bytes(p)
    in_row, out_row = w.in_w * w.in_c, w.out_w * w.out_c
    unread = ((oy, oy * w.stride_h - w.pad_h + w.filter_h) for oy in range(w.out_h))
    return max(((oy + 1) * out_row - max(0, y) * in_row for oy, y in unread if y < w.in_h), default=-w.in_h * in_row)


def out_bytes(p: Parts) -> int:
    """Of the output."""
    w = p.window
    return w.batches * w.out_h * w.out_w * w.out_c


def _is_one_pixel(p: Parts) -> bool:
    return (p.window.filter_h, p.window.filter_w) == (1, 1)


def _run(p: Parts) -> int:
    """Output positions, one after another, whose pixels are evenly apart."""
    w = p.window
    return w.out_w if _is_one_pixel(p) and not w.is_pointwise else w.positions


def _left(p: Parts) -> Iterator[tuple[int, int]]:
    """Of a 1x1 filter, wherever outputs have been written and input is left to be read: how many pixels were written,
    and where the input begins that is left. That is behind chunks, before the pixel that has no other beside it, and
    behind rows, of which there is one where the stride is 1."""
    w, run, step = p.window, _run(p), 2 * _chunk(p)
    chunks = range(step, run, step)
    ends = sorted({*chunks[:1], *chunks[-1:], *([run - 1] if run % 2 and run > 1 else [])})
    for row in range(w.positions // run):
        batch, oy = divmod(row, w.out_h)
        start = (batch * w.in_h + oy * w.stride_h) * w.in_w * w.in_c
        if row:
            yield row * run, start
        for n in ends:
            yield row * run + n, start + n * w.stride_w * w.in_c


def _chunk(p: Parts) -> int:
    """Pairs of pixels at a time."""
    return max(1, min(_SCRATCH_BYTES // (4 * conv.padded_depth(p)), -(-_run(p) // 2)))


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


def is_one_pixel(graph: Graph, op: Op) -> Facts | None:
    """It is a {filter} convolution over {in_c} channels, not 1x1 over a multiple of four."""
    p = parts(graph, op)
    if _is_one_pixel(p) and p.window.in_c % 4 == 0:
        return None
    return {"filter": f"{p.window.filter_h}x{p.window.filter_w}", "in_c": p.window.in_c}


_SHORT = (8, 16, 24, 32)
"""Input channels for which there is a product without a loop."""


def channels_are(count: int) -> Rule:
    """A rule: there is a product without a loop for this number of input channels."""

    def input_channels_are_few(graph: Graph, op: Op) -> Facts | None:
        """It has {in_c} input channels; products without a loop have 8, 16, 24 or 32."""
        in_c = parts(graph, op).window.in_c
        return None if in_c == count else {"in_c": in_c}

    return input_channels_are_few


def is_first_of_vision(stride: int) -> Rule:
    """A rule: it is like the first layer of most vision models, with this stride."""

    def rows_are_nines(graph: Graph, op: Op) -> Facts | None:
        """It is a {filter} convolution over {in_c} channels with stride {stride}, not 3x3 over three with 1 or 2 and
        two or more outputs in a row."""
        w = parts(graph, op).window
        shape = (w.filter_h, w.filter_w, w.in_c, w.stride_w)
        if shape == (3, 3, 3, stride) and w.stride_h <= 3 and w.out_w > 1:
            return None
        return {
            "filter": f"{w.filter_h}x{w.filter_w}",
            "in_c": w.in_c,
            "stride": (w.stride_h, w.stride_w),
        }

    return rows_are_nines


def _lower_rgb(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    w = p.window
    found = _records(graph, op)
    assert found is not None
    tiles = {
        "weights": "{const:weights}",
        "records": "{const:records}",
        "out_stride": str(w.out_c),
        "depth_bytes": "24",
        "groups": str(w.out_c // 4),
    }
    elements = 3 * max(w.pad_w + w.in_w, (w.out_w - 1) * w.stride_w + 3)
    row = 4 + (4 * elements if w.stride_w == 1 else dsp.round_up(2 * elements + 2, 4))
    finish = "high" if found.high else "exact"
    packed = paired.pack_nines(found.needed(p.weights.reshape(w.out_c, 3, 9)))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_rgb_params",
        fields={
            "window": w.initializer(),
            "tiles": "{" + ", ".join(f".{name} = {value}" for name, value in tiles.items()) + "}",
            "row": str(row),
            "in_zero": str(arithmetic.zero_point_of(p.inp)),
            "multiply": f"edgeq_dsp_mat_mul_rgb_{w.stride_w}_{finish}",
        },
        constants=paired.constants(packed, found),
        scratch_bytes=3 * row,
        overlap={0: overlap(p)},
        macs=conv.macs(graph, op),
    )


def _lower(
    extra: Callable[[Parts], int], multiply: str = "edgeq_dsp_mat_mul_paired"
) -> Callable[[Graph, Op], Lowering]:
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
                "multiply": f"{multiply}_{'high' if found.high else 'exact'}",
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


def _short_row(count: int) -> Kernel:
    """A row for few input channels."""
    return Kernel(
        symbol="edgeq_pointwise_conv_2d_paired_s8_dsp",
        op="CONV_2D",
        types=f"int8, one rounding, {count} input channels",
        max_version=6,
        requires=("dsp",),
        sources=(
            *_HEADERS,
            "dsp/paired_dsp.inc",
            "dsp/mat_mul_unrolled_dsp.inc",
            "dsp/mat_mul_short_dsp.inc",
            "dsp/finish_high_dsp.inc",
            f"dsp/mat_mul_{count}_high_dsp.S",
            *_POINTWISE,
        ),
        rules=(*_EVERY, is_one_pixel, channels_are(count), requantization_is_one_product),
        lower=_lower(lambda p: 0, f"edgeq_dsp_mat_mul_{count}"),
        why="1x1, nothing is gathered, no loop over inputs: two pixels by four channels, 15 cycles per 16 MACs; "
        "6.5 cycles to finish an output",
    )


def _rgb_rows(stride: int) -> tuple[Kernel, ...]:
    """Rows for the first layer of vision models, with this stride."""
    return tuple(
        Kernel(
            symbol="edgeq_conv_2d_rgb_s8_dsp",
            op="CONV_2D",
            types=f"int8, {roundings}, 3x3 over three channels, stride {stride}",
            max_version=6,
            requires=("dsp",),
            sources=(
                *_HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_unrolled_dsp.inc",
                "dsp/mat_mul_rgb_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_rgb_{stride}_{name}_dsp.S",
                "dsp/conv_2d_rgb_s8_dsp.c",
            ),
            rules=(*_EVERY, is_dense, is_first_of_vision(stride), rule),
            lower=_lower_rgb,
            why="input rows are widened once, windows used where they lie, no loop over inputs: two pixels by four "
            f"channels, 224 cycles per 216 MACs; {finish}",
        )
        for name, roundings, rule, finish in _FINISH
    )


_POINTWISE = ("dsp/widen_pairs_dsp.S", "dsp/pointwise_conv_2d_paired_s8_dsp.c")

KERNELS = (
    *(_short_row(count) for count in _SHORT),
    *_rows(
        "edgeq_pointwise_conv_2d_paired_s8_dsp",
        (is_one_pixel,),
        lambda p: 0,
        _POINTWISE,
        "1x1, nothing is gathered",
    ),
    *(row for stride in (1, 2) for row in _rgb_rows(stride)),
    *(row for distance in _DISTANCES for turn in _TURNS for row in _band_rows(distance, turn)),
    *_rows(
        "edgeq_conv_2d_paired_s8_dsp",
        (is_dense,),
        _band_bytes,
        ("dsp/gather_dsp.S", "dsp/conv_2d_paired_s8_dsp.c"),
        "input rows are padded once, windows widened from there",
    ),
)
