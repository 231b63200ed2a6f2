"""Kernels for cores with Helium (Cortex-M55, M85), as firmware_templates/kernels/mve/edgeq_mve.h describes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op
from edgeq.kernels import arithmetic, conv, depthwise, elementwise, fully_connected, overlaps, pooling
from edgeq.kernels.arithmetic import INT8_MIN, Multiplier
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import Parts, convolution_rules, parts
from edgeq.kernels.operands import operand
from edgeq.kernels.types import INT8
from edgeq.kernels.windows import Window

_LANES = 16
_CHUNK = 64
_PIXELS = 3
_SUMS_BYTES = _PIXELS * _CHUNK * 4
_ORDER = np.arange(_LANES).reshape(4, 4).T
"""Channels of the four vectors that VQMOVN weaves into one."""
_HEADER = "mve/edgeq_mve.h"
_MATRIX = ("mve/mat_mul_s8_mve.S", "mve/mat_mul_s8_mve.c", "mve/requantize_mve.S", "mve/requantize_mve.inc")
_VECTOR = ("mve/mat_vec_s8_mve.S", "mve/mat_vec_s8_mve.c", "mve/requantize_mve.S", "mve/requantize_mve.inc")


def woven(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """Per channel → [sixteens][vector][lane], zeros behind the last channel."""
    padded = np.zeros(-(-len(values) // _LANES) * _LANES, np.int64)
    padded[: len(values)] = values
    return padded.reshape(-1, _LANES)[:, _ORDER]


def scale_words(multipliers: Sequence[Multiplier]) -> bytes:
    """Multipliers and shifts in the order in which the kernels load them."""
    factors, shifts = woven([m.value for m in multipliers]), woven([m.shift for m in multipliers])
    vectors = [v[:, i] for pair in ((0, 1), (2, 3)) for v in (factors, shifts) for i in pair]
    return bytes(np.stack(vectors, axis=1).astype("<i4").tobytes())


def _ties(channels: Channels) -> int:
    """How negative ties are rounded: see EDGEQ_MVE_TIES_* in edgeq_mve.h."""
    if channels.act_min >= channels.out_zero:
        return 0
    return 1 if all(m.shift < 0 for m in channels.multipliers) else 2


def _output(channels: Channels) -> str:
    return f"{{{channels.out_zero}, {channels.act_min}, {channels.act_max}, {_ties(channels)}}}"


def _folded_bias(channels: Channels, count: int) -> npt.NDArray[np.int64]:
    """With the input's zero point folded in; zeros up to `count`."""
    bias = np.zeros(count, np.int64)
    sums = channels.weights.astype(np.int64).sum(axis=1)
    bias[: sums.size] = channels.bias.astype(np.int64) - channels.in_zero * sums
    return bias


def _words(values: npt.NDArray[np.int64]) -> bytes:
    return (values & 0xFFFFFFFF).astype("<u4").tobytes()


def _constants(weights: bytes, bias: npt.NDArray[np.int64], scales: bytes) -> tuple[Constant, ...]:
    return (
        Constant("weights", "int8_t", weights),
        Constant("bias", "int32_t", _words(bias)),
        Constant("scales", "int32_t", scales, "parameters"),
    )


def _conv_fields(p: Parts, channels: Channels, depth: int) -> dict[str, str]:
    return {
        "window": p.window.initializer(),
        "weights": "{const:weights}",
        "bias": "{const:bias}",
        "scales": "{const:scales}",
        "depth": str(depth),
        "in_zero": str(channels.in_zero),
        "output": _output(channels),
    }


def _matrix(p: Parts) -> Channels:
    return p.channels(p.weights.reshape(p.window.out_c, -1))


def _written_early(channels: int) -> int:
    """Output channels that are written before the input is read for the last time: all chunks but the last."""
    return (channels - 1) // _CHUNK * _CHUNK


def _three_pixels(window: Window, gathers: bool) -> int:
    """`Lowering.overlap` of the convolutions: three pixels are gathered, or read for each chunk, and then written."""
    needed = overlaps.first_needed(window)
    written = np.arange(needed.size) // _PIXELS * _PIXELS * window.out_c
    early = 0 if gathers else _written_early(window.out_c)
    ahead = (_PIXELS - 1) * window.out_c + early if early else 0
    return overlaps.distance(written + ahead, needed, window.batches * window.in_h * window.in_w * window.in_c)


def _lower_conv(gathers: bool) -> Callable[[Graph, Op], Lowering]:
    """The call of the convolutions three pixels at a time; `gathers`: into columns, which are scratch."""

    def lower(graph: Graph, op: Op) -> Lowering:
        p = parts(graph, op)
        channels = _matrix(p)
        out_c, depth = channels.weights.shape
        rows = out_c + out_c % 2  # channels go in pairs
        weights = np.zeros((rows, depth), np.int8)
        weights[:out_c] = channels.weights
        return Lowering.of_call(
            arguments=("{in0}", "{out0}", "{scratch}"),
            struct="edgeq_mve_conv_params",
            fields=_conv_fields(p, channels, depth),
            constants=_constants(weights.tobytes(), _folded_bias(channels, rows), scale_words(p.multipliers)),
            scratch_bytes=_SUMS_BYTES + (_PIXELS * -(-depth // _LANES) * _LANES if gathers else 0),
            overlap={0: _three_pixels(p.window, gathers)},
            macs=conv.macs(graph, op),
        )

    return lower


def _lower_vector(rows: int, channels: Channels, macs: int) -> Lowering:
    outputs, depth = channels.weights.shape
    shared = len(channels.multipliers) == 1
    scales = scale_words(channels.multipliers * _LANES if shared else channels.multipliers)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_mve_fully_connected_params",
        fields={
            "rows": str(rows),
            "depth": str(depth),
            "outputs": str(outputs),
            "weights": "{const:weights}",
            "bias": "{const:bias}",
            "scales": "{const:scales}",
            "rewind": str(len(scales) if shared else 0),
            "output": _output(channels),
        },
        # Of fewer than four rows each is done four times, with the biases behind its own.
        constants=_constants(channels.weights.tobytes(), _folded_bias(channels, outputs + 3), scales),
        scratch_bytes=_CHUNK * 4,
        overlap={0: overlaps.rows(rows, depth, outputs, ahead=_written_early(outputs))},
        macs=macs,
    )


def _lower_fully_connected(graph: Graph, op: Op) -> Lowering:
    p = fully_connected.parts(graph, op)
    return _lower_vector(p.rows, fully_connected.channels_of(p), p.rows * p.weights.size)


def _lower_conv_vector(graph: Graph, op: Op) -> Lowering:
    return _lower_vector(1, _matrix(parts(graph, op)), conv.macs(graph, op))


def _taps(p: Parts) -> npt.NDArray[np.int8]:
    """Depthwise weights, [taps][channels], with a tap of zeros where their number is odd."""
    taps = p.weights.reshape(-1, p.window.out_c)
    return np.vstack([taps, np.zeros((taps.shape[0] % 2, taps.shape[1]), np.int8)])


def _lower_depthwise(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    taps = _taps(p)
    count, in_c = taps.shape
    channels = p.channels(np.ascontiguousarray(taps.T))
    blocks = -(-in_c // _LANES)
    weights = np.zeros((count, blocks * _LANES), np.int8)
    weights[:, :in_c] = taps
    packed = weights.reshape(count, blocks, _LANES).transpose(1, 0, 2)
    bias = woven(_folded_bias(channels, in_c).tolist()).reshape(-1)
    return Lowering.of_call(
        arguments=("{in0}", "{out0}", "{scratch}"),
        struct="edgeq_mve_conv_params",
        fields=_conv_fields(p, channels, count),
        constants=_constants(packed.tobytes(), bias, scale_words(p.multipliers)),
        scratch_bytes=in_c + 2 * 4 * (count + 1),
        overlap={0: overlaps.windows(p.window, in_step=True)},
        macs=depthwise.macs(graph, op),
    )


def _lower_add(graph: Graph, op: Op) -> Lowering:
    """add.cc halves the input with the larger scale exactly: its multiplier is 2**30 and its shift 0."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    scale0, scale1, out_scale = elementwise.add_scales(graph, op)
    small, large = (0, 1) if arithmetic.scale_of(a) <= arithmetic.scale_of(b) else (1, 0)
    scale, bits = (scale0, scale1)[small], elementwise.headroom_bits(graph, op)
    if scale.shift == 0:  # both are halved: one more bit to the left, and to the right again
        scale, left = Multiplier(scale.value, -1), bits + 1
    else:
        left = bits
    operands = [operand(t, i) for i, t in enumerate((a, b))]
    factor = 1 << (bits - 1)
    tensors = (a, b)
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), out)
    return Lowering.of_call(
        arguments=(operands[small][0], operands[large][0], "{out0}"),
        struct="edgeq_mve_add_params",
        fields={
            "count": str(out.elements),
            "zero": str(arithmetic.zero_point_of(tensors[small])),
            "left": str(left),
            "multiplier": str(scale.value),
            "shift": str(scale.shift),
            "factor": str(factor),
            "offset": str(-arithmetic.zero_point_of(tensors[large]) * factor),
            "out_multiplier": str(out_scale.value),
            "out_shift": str(out_scale.shift),
            "out_zero": str(arithmetic.zero_point_of(out)),
            "act_min": str(low),
            "act_max": str(high),
        },
        constants=(*operands[0][1], *operands[1][1]),
        overlap={i: 0 for i, t in enumerate(tensors) if not t.is_constant},
    )


def scales_are_fractions(graph: Graph, op: Op) -> Facts | None:
    """A channel's scale is above one, so that its sums are shifted to the left first, which other kernels do."""
    multipliers = (fully_connected.parts(graph, op) if op.kind == "FULLY_CONNECTED" else parts(graph, op)).multipliers
    return None if all(m.shift <= 0 for m in multipliers) else {}


def is_pointwise(graph: Graph, op: Op) -> Facts | None:
    """It is a {filter} convolution with stride {stride}, not 1x1: its columns are gathered."""
    window = parts(graph, op).window
    if window.is_pointwise:
        return None
    return {
        "filter": f"{window.filter_h}x{window.filter_w}",
        "stride": (window.stride_h, window.stride_w),
    }


def channels_are_fours(graph: Graph, op: Op) -> Facts | None:
    """It has {in_c} channels, not a multiple of four, so that lanes of 32 bits can't be told apart."""
    in_c = parts(graph, op).window.in_c
    return None if in_c % 4 == 0 else {"in_c": in_c}


def pairs_fit(graph: Graph, op: Op) -> Facts | None:
    """Two weights of a pair of taps are -128, whose products with -128 don't add up in 16 bits."""
    taps = _taps(parts(graph, op)).astype(np.int32)
    pairs = np.abs(taps).reshape(-1, 2, taps.shape[1]).sum(axis=1)
    return None if int(pairs.max()) < 2 * -INT8_MIN else {}


def output_is_shifted(graph: Graph, op: Op) -> Facts | None:
    """Its scales ask for shifts by {shifts} bits, not to the right and the output's by one at least."""
    shifts = [-m.shift for m in elementwise.add_scales(graph, op)]
    return None if min(shifts) >= 0 and 1 <= shifts[2] <= 31 else {"shifts": shifts}


_MVE = ("mve",)
_CONV_RULES: tuple[Rule, ...] = (
    *convolution_rules(0, INT8),
    conv.channels_fit,
    conv.has_no_groups,
    scales_are_fractions,
)

KERNELS = (
    Kernel(
        symbol="edgeq_fully_connected_s8_mve",
        op="CONV_2D",
        types="int8",
        max_version=6,
        requires=_MVE,
        sources=(_HEADER, "mve/fully_connected_s8_mve.c", *_VECTOR),
        rules=(*_CONV_RULES, conv.has_one_position),
        lower=_lower_conv_vector,
        why="a convolution with one output position is a matrix times a vector",
    ),
    Kernel(
        symbol="edgeq_pointwise_conv_2d_s8_mve",
        op="CONV_2D",
        types="int8",
        max_version=6,
        requires=_MVE,
        sources=(_HEADER, "mve/pointwise_conv_2d_s8_mve.c", *_MATRIX),
        rules=(*_CONV_RULES, is_pointwise),
        lower=_lower_conv(gathers=False),
        why="1x1: three pixels by two channels at a time, 96 products in 12 instructions",
    ),
    Kernel(
        symbol="edgeq_conv_2d_s8_mve",
        op="CONV_2D",
        types="int8",
        max_version=6,
        requires=_MVE,
        sources=(_HEADER, "mve/conv_2d_s8_mve.c", *_MATRIX),
        rules=_CONV_RULES,
        lower=_lower_conv(gathers=True),
        why="the same with the windows gathered as columns; any filter, stride and dilation",
    ),
    Kernel(
        symbol="edgeq_depthwise_conv_2d_s8_mve",
        op="DEPTHWISE_CONV_2D",
        types="int8",
        max_version=6,
        requires=_MVE,
        sources=(
            _HEADER,
            "mve/depthwise_conv_2d_s8_mve.c",
            "mve/depthwise_conv_2d_s8_mve.S",
            "mve/requantize_mve.inc",
        ),
        rules=(
            *convolution_rules(3, INT8),
            depthwise.channels_fit,
            depthwise.keeps_channels,
            scales_are_fractions,
            channels_are_fours,
            pairs_fit,
        ),
        lower=_lower_depthwise,
        why="sixteen channels and two taps at a time, 32 products in 24 instructions",
    ),
    Kernel(
        symbol="edgeq_fully_connected_s8_mve",
        op="FULLY_CONNECTED",
        types="int8",
        max_version=12,
        requires=_MVE,
        sources=(_HEADER, "mve/fully_connected_s8_mve.c", *_VECTOR),
        rules=(
            *fully_connected.fully_connected_rules(INT8),
            fully_connected.weights_are_symmetric,
            scales_are_fractions,
        ),
        lower=_lower_fully_connected,
        why="four rows at a time, 64 products in 10 instructions",
    ),
    Kernel(
        symbol="edgeq_add_s8_mve",
        op="ADD",
        types="int8",
        max_version=4,
        requires=_MVE,
        sources=(_HEADER, "mve/add_s8_mve.S"),
        rules=(*elementwise.ADD_RULES, elementwise.shapes_are_equal, output_is_shifted),
        lower=_lower_add,
        why="equal shapes: four elements in 19 instructions",
    ),
    *(
        Kernel(
            symbol=f"edgeq_{op.lower()}_s8_mve",
            op=op,
            types="int8",
            max_version=3,
            requires=_MVE,
            sources=(_HEADER, "mve/pool_2d_s8_mve.c"),
            rules=pooling.pool_rules(INT8[0]),
            lower=pooling.lower_pool,
            why=why,
        )
        for op, why in (
            ("AVERAGE_POOL_2D", "four channels at a time, divided by multiplication"),
            ("MAX_POOL_2D", "sixteen channels at a time"),
        )
    ),
)
