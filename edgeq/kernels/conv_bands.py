"""CONV_2D with paired weights that uses windows where they lie in widened input rows, so that nothing is gathered."""

from __future__ import annotations

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, conv, dsp, paired
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.conv_paired import EVERY, FINISH, HEADERS, is_dense, overlap, records
from edgeq.kernels.convolution import Parts, parts


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
    found = records(graph, op)
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
        """It has {in_c} input channels, a filter of {filter}, a stride of {stride} and rows of {out_w} outputs; windows
        are used where they lie with a multiple of 16 channels, 16, 32 or 64 times the stride, more than one tap, and an
        even number of outputs in a row."""
        p = parts(graph, op)
        w = p.window
        if (
            w.in_c % 16 == 0
            and w.filter_h * w.filter_w > 1
            and _distance(p) == distance
            and _turn(p) == turn
            and w.out_w % 2 == 0
        ):
            return None
        return {
            "in_c": w.in_c,
            "filter": f"{w.filter_h}x{w.filter_w}",
            "stride": w.stride_w,
            "out_w": w.out_w,
        }

    return windows_lie_well


def _lower_band(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    w = p.window
    found = records(graph, op)
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
                *HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_band_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_band_{distance}_{turn}_{name}_dsp.S",
                "dsp/conv_2d_band_s8_dsp.c",
            ),
            rules=(*EVERY, is_dense, widened_bands_fit(distance, turn), rule),
            lower=_lower_band,
            why="input rows are widened once, windows used where they lie: two pixels by four channels, 15 cycles per "
            f"16 MACs; {finish}",
        )
        for name, roundings, rule, finish in FINISH
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
                *HEADERS,
                "dsp/paired_dsp.inc",
                "dsp/mat_mul_unrolled_dsp.inc",
                "dsp/mat_mul_rgb_dsp.inc",
                f"dsp/finish_{name}_dsp.inc",
                f"dsp/mat_mul_rgb_{stride}_{name}_dsp.S",
                "dsp/conv_2d_rgb_s8_dsp.c",
            ),
            rules=(*EVERY, is_dense, is_first_of_vision(stride), rule),
            lower=_lower_rgb,
            why="input rows are widened once, windows used where they lie, no loop over inputs: two pixels by four "
            f"channels, 224 cycles per 216 MACs; {finish}",
        )
        for name, roundings, rule, finish in FINISH
    )


KERNELS = (
    *(row for stride in (1, 2) for row in _rgb_rows(stride)),
    *(row for distance in _DISTANCES for turn in _TURNS for row in _band_rows(distance, turn)),
)
