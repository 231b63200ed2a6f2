"""CONV_2D."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, dsp, fully_connected, overlaps
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT4, INT8, Parts, convolution_rules, lower_portable, parts


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates, those that fall on padding included."""
    p = parts(graph, op)
    return p.window.positions * p.weights.size


def channels_fit(graph: Graph, op: Op) -> Facts | None:
    """The weights {weights} don't fit the input's {in_c} and the output's {out_c} channels: the file is damaged."""
    inp, weights, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert inp is not None and weights is not None
    in_c, out_c = inp.shape[3], out.shape[3]
    groups = in_c // weights.shape[3]
    if groups and in_c % weights.shape[3] == 0 and out_c == weights.shape[0] and out_c % groups == 0:
        return None
    return {"weights": list(weights.shape), "in_c": in_c, "out_c": out_c}


def _lower(graph: Graph, op: Op) -> Lowering:
    weights = graph.input_of(op, 1)
    assert weights is not None
    return lower_portable(graph, op, group=weights.shape[3], macs=macs(graph, op), ahead=weights.shape[0] - 1)


def has_no_groups(graph: Graph, op: Op) -> Facts | None:
    """The convolution has {groups} groups, which the portable kernel serves."""
    inp, weights = graph.input_of(op, 0), graph.input_of(op, 1)
    assert inp is not None and weights is not None
    groups = inp.shape[3] // weights.shape[3]
    return None if groups == 1 else {"groups": groups}


def sums_fit(width: dsp.Width) -> Rule:
    """A rule: the DSP kernels for weights of this width are exact."""

    def sums_stay_small(graph: Graph, op: Op) -> Facts | None:
        """A sum may reach 2**30 or a shift 22 bits, beyond which the DSP kernels' rounding wouldn't be exact."""
        p = parts(graph, op)
        return None if dsp.sums_stay_small(matrix(p), width.scaled) else {}

    return sums_stay_small


def is_pointwise(graph: Graph, op: Op) -> Facts | None:
    """It is a {filter} convolution with stride {stride} over {in_c} channels, not 1x1 over a multiple of four."""
    window = parts(graph, op).window
    if window.is_pointwise and window.in_c % 4 == 0:
        return None
    return {
        "filter": f"{window.filter_h}x{window.filter_w}",
        "stride": (window.stride_h, window.stride_w),
        "in_c": window.in_c,
    }


def channels_are_fours(graph: Graph, op: Op) -> Facts | None:
    """It has {in_c} input channels, not a multiple of four, so that its columns are gathered byte by byte."""
    in_c = parts(graph, op).window.in_c
    return None if in_c % 4 == 0 else {"in_c": in_c}


def has_one_position(graph: Graph, op: Op) -> Facts | None:
    """It has {positions} output positions, or doesn't read the whole input: not a matrix times one vector."""
    w = parts(graph, op).window
    whole = (w.filter_h, w.filter_w, w.pad_h, w.pad_w) == (w.in_h, w.in_w, 0, 0)
    dense = (w.filter_h == 1 or w.dilation_h == 1) and (w.filter_w == 1 or w.dilation_w == 1)
    return None if w.positions == 1 and whole and dense else {"positions": w.positions}


def lower_tiles(p: Parts, channels: Channels, macs: int, scratch_bytes: int, width: dsp.Width = dsp.INT8) -> Lowering:
    """The call of the tiled DSP kernels.

    Args:
        channels: weights as [out_c][filter_h * filter_w * in_c].
        scratch_bytes: of the kernel that makes the columns.
    """
    depth = dsp.round_up(channels.weights.shape[1], 4)
    prepared = dsp.prepare(channels, 2, width.scaled)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_dsp_conv_params",
        fields={**dsp_fields(p, depth), "multiply": width.tile},
        constants=dsp.constants(width.pack_tile(prepared.weights), prepared),
        scratch_bytes=scratch_bytes,
        overlap={0: overlaps.windows(p.window, tile=4 if p.window.positions >= 4 else 1)},
        macs=macs,
    )


def dsp_fields(p: Parts, depth: int) -> dict[str, str]:
    """The members of `edgeq_dsp_conv_params`."""
    return {
        "window": p.window.initializer(),
        "weights": "{const:weights}",
        "bias": "{const:bias}",
        "scales": "(const edgeq_dsp_scale *){const:scales}",
        "depth": str(depth),
        "in_zero": str(arithmetic.zero_point_of(p.inp)),
        "act_min": str(p.act_min),
        "act_max": str(p.act_max),
    }


def few_scratch_bytes(p: Parts) -> int:
    """Of the kernel that gathers bytes: columns as int16 and as bytes, and a filter row of padding."""
    return 12 * padded_depth(p) + p.window.filter_w * p.window.in_c


def padded_depth(p: Parts) -> int:
    """Inputs of one output element, as the columns hold them."""
    return dsp.round_up(p.weights.size // p.window.out_c, 4)


def matrix(p: Parts) -> Channels:
    """The convolution's channels, weights as [out_c][filter_h * filter_w * in_c]."""
    return p.channels(p.weights.reshape(p.window.out_c, -1))


def _tiles(scratch_bytes: Callable[[Parts], int], width: dsp.Width) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        return lower_tiles(p, matrix(p), macs(graph, op), scratch_bytes(p), width)

    return lower


def _vector(width: dsp.Width) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        return fully_connected.lower_rows(1, matrix(p), macs(graph, op), width)

    return lower


_COLUMNS = ("dsp/edgeq_dsp.h", "dsp/edgeq_dsp_columns.h", "dsp/columns_s8_dsp.c", "dsp/mat_mul_dsp.inc")
FEW = "dsp/conv_2d_few_s8_dsp.c"


def tile_sources(width: dsp.Width) -> tuple[str, ...]:
    """The files behind the tiled kernels for weights of this width."""
    return (*_COLUMNS, width.tile_source)


def _rows(
    types: str, weights: tuple[DType, ...], width: dsp.Width, portable: str, max_version: int
) -> tuple[Kernel, ...]:
    """The rows for weights of one width; the kernels that gather columns are the same for all."""
    every = (*convolution_rules(0, weights), channels_fit)
    special = (*every, has_no_groups, sums_fit(width))

    def tiled(
        name: str, rules: tuple[Rule, ...], scratch_bytes: Callable[[Parts], int], source: str, why: str
    ) -> Kernel:
        return Kernel(
            symbol=name,
            op="CONV_2D",
            types=types,
            max_version=max_version,
            requires=("dsp",),
            sources=(*tile_sources(width), source),
            rules=(*special, *rules),
            lower=_tiles(scratch_bytes, width),
            why=why,
        )

    return (
        Kernel(
            symbol="edgeq_fully_connected_s8_dsp",
            op="CONV_2D",
            types=types,
            max_version=max_version,
            requires=("dsp",),
            sources=fully_connected.dsp_sources(width),
            rules=(*special, has_one_position),
            lower=_vector(width),
            why="a convolution with one output position is a matrix times a vector",
        ),
        tiled(
            "edgeq_pointwise_conv_2d_s8_dsp",
            (is_pointwise,),
            lambda p: 8 * padded_depth(p),
            "dsp/pointwise_conv_2d_s8_dsp.c",
            "1x1: columns are the input's pixels, nothing is gathered",
        ),
        tiled(
            "edgeq_conv_2d_s8_dsp",
            (channels_are_fours,),
            lambda p: 8 * padded_depth(p) + p.window.in_c,
            "dsp/conv_2d_s8_dsp.c",
            f"four pixels by two channels at a time, {width.pace}",
        ),
        tiled(
            "edgeq_conv_2d_few_s8_dsp",
            (),
            few_scratch_bytes,
            FEW,
            "the same where pixels aren't whole words: first layers",
        ),
        Kernel(
            symbol=portable,
            op="CONV_2D",
            types=types,
            max_version=max_version,
            sources=(f"portable/{portable.removeprefix('edgeq_')}.c",),
            rules=every,
            lower=_lower,
            why="every core; grouped convolutions everywhere",
        ),
    )


KERNELS = (
    # Version 7 is int4 weights to newer converters; tflite-runtime 2.14 takes them in versions up to 6.
    *_rows("int8, int4 weights", INT4, dsp.INT4, "edgeq_conv_2d_s4", 7),
    *_rows("int8", INT8, dsp.INT8, "edgeq_conv_2d_s8", 6),
)
