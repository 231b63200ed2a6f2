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
def records(graph: Graph, op: Op) -> paired.Records | None:
    """What finishes its sums, worked out once for the rules and the lowering of one operator."""
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
    found = records(graph, op)
    return None if found is not None and found.high else {}


def requantization_rounds_twice(graph: Graph, op: Op) -> Facts | None:
    """A channel's clamp is tighter than int8, it isn't shifted right, or its sums are too large."""
    return None if records(graph, op) is not None else {}


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
    w = p.window
    return (w.filter_h, w.filter_w, w.pad_h, w.pad_w) == (1, 1, 0, 0)


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
    """It is a {filter} convolution over {in_c} channels with padding {padding}, not 1x1 over a multiple of four without
    any."""
    p = parts(graph, op)
    w = p.window
    if _is_one_pixel(p) and w.in_c % 4 == 0:
        return None
    return {"filter": f"{w.filter_h}x{w.filter_w}", "in_c": w.in_c, "padding": (w.pad_h, w.pad_w)}


_SHORT = (8, 16, 24, 32)
"""Input channels for which there is a product without a loop."""


def channels_are(count: int) -> Rule:
    """A rule: there is a product without a loop for this number of input channels."""

    def input_channels_are_few(graph: Graph, op: Op) -> Facts | None:
        """It has {in_c} input channels; products without a loop have 8, 16, 24 or 32."""
        in_c = parts(graph, op).window.in_c
        return None if in_c == count else {"in_c": in_c}

    return input_channels_are_few


def _lower(
    extra: Callable[[Parts], int], multiply: str = "edgeq_dsp_mat_mul_paired"
) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        found = records(graph, op)
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


EVERY: tuple[Rule, ...] = (
    *convolution_rules(0, INT8),
    conv.channels_fit,
    conv.has_no_groups,
    weights_are_its_own,
    channels_are_fours,
    weights_pair,
)
"""Rules of every row with paired weights, but for its shape and its requantization."""
HEADERS = ("dsp/edgeq_dsp.h", "dsp/edgeq_dsp_columns.h")
FINISH: tuple[tuple[str, str, Rule, str], ...] = (
    ("high", "one rounding", requantization_is_one_product, "6 cycles to finish an output"),
    ("exact", "two roundings", requantization_rounds_twice, "9.8 cycles to finish an output of either sign"),
)
"""Epilogues: in names, in the table, what they ask for, what they cost."""


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
                *HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_paired_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_paired_{name}_dsp.S",
                *sources,
            ),
            rules=(*EVERY, *rules, rule),
            lower=_lower(extra),
            why=f"{why}: two pixels by four channels, 15 cycles per 16 MACs; {finish}",
        )
        for name, roundings, rule, finish in FINISH
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
            *HEADERS,
            "dsp/paired_dsp.inc",
            "dsp/mat_mul_unrolled_dsp.inc",
            "dsp/mat_mul_short_dsp.inc",
            "dsp/finish_high_dsp.inc",
            f"dsp/mat_mul_{count}_high_dsp.S",
            *_POINTWISE,
        ),
        rules=(*EVERY, is_one_pixel, channels_are(count), requantization_is_one_product),
        lower=_lower(lambda p: 0, f"edgeq_dsp_mat_mul_{count}"),
        why="1x1, nothing is gathered, no loop over inputs: two pixels by four channels, 15 cycles per 16 MACs; "
        "6.5 cycles to finish an output",
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
    *_rows(
        "edgeq_conv_2d_paired_s8_dsp",
        (is_dense,),
        _band_bytes,
        ("dsp/gather_dsp.S", "dsp/conv_2d_paired_s8_dsp.c"),
        "input rows are padded once, windows widened from there",
    ),
)
