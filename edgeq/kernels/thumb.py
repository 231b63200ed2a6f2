"""Rows for cores that have nothing but Armv6-M, packed as kernels/thumb/edgeq_thumb.h describes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op
from edgeq.kernels import conv, depthwise, fully_connected, overlaps
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import convolution_rules, parts, scale_pairs
from edgeq.kernels.dsp import round_up
from edgeq.kernels.windows import Window

_START = 1 << 15  # of the word that two channels' products are added up in
_MOST_CHANNELS = 32  # of a position at a time: EDGEQ_THUMB_CHANNELS
_PASS_BYTES = 8192  # of weights in one pass: half of the RP2040's cache
_POINTER_BYTES = 4


def weights_are_above_minus_128(graph: Graph, op: Op) -> Facts | None:
    """The weights '{tensor}' hold -128, of which two products don't always fit in 16 bits."""
    weights = graph.input_of(op, 1)
    assert weights is not None and weights.data is not None
    return {"tensor": weights.short_name} if int(weights.data.min()) < -127 else None


def channels_are_fours(graph: Graph, op: Op) -> Facts | None:
    """It has {in_c} channels, not a multiple of four."""
    in_c = parts(graph, op).window.in_c
    return None if in_c % 4 == 0 else {"in_c": in_c}


def depth_is_fours(graph: Graph, op: Op) -> Facts | None:
    """An output has {depth} inputs, not a multiple of four."""
    depth = fully_connected.parts(graph, op).depth
    return None if depth % 4 == 0 else {"depth": depth}


def weights_are_symmetric(graph: Graph, op: Op) -> Facts | None:
    """The weights have the zero point {zero_point}, which the portable kernel serves."""
    zero_point = fully_connected.parts(graph, op).weights_zero
    return {"zero_point": zero_point} if zero_point else None


def pack(channels: Channels) -> tuple[Constant, ...]:
    """Weights [channels][depth] as pairs, where their sums start, and their scales."""
    count, depth = channels.weights.shape
    weights = np.zeros((round_up(count, 4), round_up(depth, 4)), np.int64)
    weights[:count, :depth] = channels.weights
    fours = weights.reshape(-1, 4, weights.shape[1])
    # 4-window by 4-window: whether the sums of all four channels certainly fit in 16 bits.
    windows = weights.reshape(weights.shape[0] // 4, 4, -1, 4)
    positive, negative = np.maximum(windows, 0).sum(axis=3), np.minimum(windows, 0).sum(axis=3)
    most, least = 127 * positive - 128 * negative, 127 * negative - 128 * positive
    fits = ((most < _START) & (least >= -_START)).all(axis=(1, 2))
    every = np.where(fits, 4, 2)
    bias = _padded_bias(channels)
    pairs = bias.reshape(-1, 2, 2)
    starts = np.zeros((fours.shape[0], 5), np.int64)
    put_away = weights.shape[1] // every * _START
    for pair in range(2):
        starts[:, 2 * pair] = pairs[:, pair, 0] + (pairs[:, pair, 1] << 16) - put_away
        starts[:, 2 * pair + 1] = pairs[:, pair, 1]
    starts[:, 4] = every
    words = (fours[:, 0::2] + (fours[:, 1::2] << 16)).transpose(0, 2, 1)
    return (
        Constant("weights", "uint32_t", _words(words)),
        Constant("starts", "int32_t", _words(starts)),
        Constant("scales", "int32_t", _scales(channels), "parameters"),
    )


def _padded_bias(channels: Channels) -> npt.NDArray[np.int64]:
    """The biases with the input's zero point folded in, up to a multiple of four."""
    bias = np.zeros(round_up(channels.bias.size, 4), np.int64)
    sums = channels.weights.astype(np.int64).sum(axis=1)
    bias[: channels.bias.size] = channels.bias.astype(np.int64) - channels.in_zero * sums
    return bias


def _words(values: npt.NDArray[np.int64]) -> bytes:
    return (values & 0xFFFF_FFFF).astype("<u4").tobytes()


def _scales(channels: Channels) -> bytes:
    multipliers = channels.multipliers
    return scale_pairs(multipliers if len(multipliers) > 1 else multipliers * channels.bias.size)


def _pass(channels: Channels) -> int:
    """Output channels in one pass over all positions, a multiple of four: as many as leave their weights in a small
    cache in front of the flash."""
    outputs, depth = channels.weights.shape
    return min(round_up(outputs, 4), max(4, _PASS_BYTES // (2 * round_up(depth, 4)) // 4 * 4))


def _written_early(outputs: int) -> int:
    """Channels of a position that are written before its inputs are read for the last time: all but the last few."""
    return (outputs - 1) // _MOST_CHANNELS * _MOST_CHANNELS


def _call(window: Window, channels: Channels, macs: int, scratch_bytes: int, least: int | None = None) -> Lowering:
    """The call.

    Args:
        least: how far the input may lie over the output when all channels are done in one pass over the positions; a
            second pass finds nothing of it.
    """
    depth = round_up(channels.weights.shape[1], 4)
    once = _pass(channels) >= channels.weights.shape[0]
    arguments = ("{in0}", "{out0}", "{scratch}") if scratch_bytes else ("{in0}", "{out0}")
    return Lowering.of_call(
        arguments=arguments,
        struct="edgeq_thumb_conv_params",
        fields={
            "window": window.initializer(),
            "weights": "{const:weights}",
            "starts": "(const edgeq_thumb_start *){const:starts}",
            "scales": "(const edgeq_scale *){const:scales}",
            "depth": str(depth),
            "channels": str(_pass(channels)),
            "in_zero": str(channels.in_zero),
            "out_zero": str(channels.out_zero),
            "act_min": str(channels.act_min),
            "act_max": str(channels.act_max),
        },
        constants=pack(channels),
        scratch_bytes=scratch_bytes,
        overlap={0: least} if least is not None and once else {},
        macs=macs,
    )


def _lower_conv(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    channels = p.channels(p.weights.reshape(p.window.out_c, -1))
    return _gathered(p.window, channels, conv.macs(graph, op))


def _gathered(window: Window, channels: Channels, macs: int) -> Lowering:
    """A position's inputs are copied before its first output is written."""
    scratch = round_up(channels.weights.shape[1], 4)
    return _call(window, channels, macs, scratch, overlaps.windows(window))


def _lower_pointwise(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    channels = p.channels(p.weights.reshape(p.window.out_c, -1))
    least = overlaps.windows(p.window, ahead=_written_early(p.window.out_c))
    return _call(p.window, channels, conv.macs(graph, op), 0, least)


def _lower_one_channel(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    channels = p.channels(np.ascontiguousarray(p.weights.reshape(-1, p.window.out_c).T))
    return _gathered(p.window, channels, depthwise.macs(graph, op))


def _lower_fully_connected(graph: Graph, op: Op) -> Lowering:
    p = fully_connected.parts(graph, op)
    window = Window(1, 1, p.rows, p.depth, 1, p.rows, p.outputs, 1, 1, 1, 1, 1, 1, 0, 0)
    least = overlaps.rows(p.rows, p.depth, p.outputs, ahead=_written_early(p.outputs))
    return _call(window, fully_connected.channels_of(p), p.rows * p.weights.size, 0, least)


def has_one_row(graph: Graph, op: Op) -> Facts | None:
    """The weights serve {rows} rows, not one."""
    rows = fully_connected.parts(graph, op).rows
    return None if rows == 1 else {"rows": rows}


def _lower_one_row(graph: Graph, op: Op) -> Lowering:
    lowered = _lower_fully_connected(graph, op)
    p = fully_connected.parts(graph, op)
    weights = np.zeros((round_up(p.outputs, 4), p.depth), np.int8)
    weights[: p.outputs] = p.weights
    fours = np.ascontiguousarray(weights.reshape(-1, 4, p.depth).transpose(0, 2, 1))
    least = overlaps.rows(1, p.depth, p.outputs, ahead=_written_early(p.outputs))
    return replace(_of_bytes(lowered, fours, fully_connected.channels_of(p)), overlap=MappingProxyType({0: least}))


def _of_bytes(lowered: Lowering, fours: npt.NDArray[np.int8], channels: Channels) -> Lowering:
    """The same call with weights [channels / 4][inputs][4] as bytes, and plain biases."""
    constants = (
        Constant("weights", "uint32_t", fours.astype(np.int8).tobytes()),
        Constant("starts", "int32_t", _words(_padded_bias(channels))),
        Constant("scales", "int32_t", _scales(channels), "parameters"),
    )
    return replace(lowered, constants=constants)


def _lower_depthwise(graph: Graph, op: Op) -> Lowering:
    p = parts(graph, op)
    taps = p.weights.reshape(-1, p.window.out_c)
    channels = p.channels(np.ascontiguousarray(taps.T))
    scratch = _POINTER_BYTES * taps.shape[0] + p.window.in_c
    lowered = _call(p.window, channels, depthwise.macs(graph, op), scratch)
    fours = np.ascontiguousarray(taps.reshape(taps.shape[0], -1, 4).transpose(1, 0, 2))
    least = overlaps.windows(p.window, in_step=True)
    return replace(_of_bytes(lowered, fours, channels), overlap=MappingProxyType({0: least}))


_MAT_VEC = ("thumb/edgeq_thumb.h", "thumb/mat_vec_s8_thumb.S")
_TWICE = "two channels by one multiplication, 55 cycles per 16 MACs; its weights take twice their bytes in flash"


def _row(
    name: str, op: str, version: int, sources: tuple[str, ...], rules: tuple[Rule, ...],
    lower: Callable[[Graph, Op], Lowering], why: str,
) -> Kernel:  # fmt: skip
    return Kernel(
        symbol=f"edgeq_{name}_s8_thumb",
        op=op,
        types="int8",
        max_version=version,
        requires=("armv6-m",),
        sources=(*sources, f"thumb/{name}_s8_thumb.c"),
        rules=rules,
        lower=lower,
        why=why,
    )


_CONV = (*convolution_rules(0), conv.channels_fit, weights_are_above_minus_128, conv.has_no_groups)
_DEPTHWISE = (*convolution_rules(3), depthwise.channels_fit, weights_are_above_minus_128)
_CONNECTED = (
    *fully_connected.fully_connected_rules(),
    weights_are_symmetric,
    weights_are_above_minus_128,
    depth_is_fours,
)

KERNELS = (
    _row("pointwise", "CONV_2D", 6, _MAT_VEC, (*_CONV, conv.is_pointwise), _lower_pointwise, f"1x1: {_TWICE}"),
    _row("conv_2d", "CONV_2D", 6, _MAT_VEC, _CONV, _lower_conv, _TWICE),
    _row("conv_2d", "DEPTHWISE_CONV_2D", 6, _MAT_VEC, (*_DEPTHWISE, depthwise.has_one_input_channel),
         _lower_one_channel, "over one input channel it is a CONV_2D"),
    _row("depthwise_conv_2d", "DEPTHWISE_CONV_2D", 6, ("thumb/edgeq_thumb.h", "thumb/taps_s8_thumb.S"),
         (*_DEPTHWISE, depthwise.keeps_channels, channels_are_fours), _lower_depthwise,
         "four channels at a time, 29 cycles per tap of them"),
    _row("fully_connected", "FULLY_CONNECTED", 12, ("thumb/edgeq_thumb.h", "thumb/mat_vec_bytes_s8_thumb.S"),
         (*_CONNECTED, has_one_row), _lower_one_row,
         "weights that are used once, as bytes: flash is read half as often; 75 cycles per 16 MACs"),
    _row("pointwise", "FULLY_CONNECTED", 12, _MAT_VEC, _CONNECTED, _lower_fully_connected, _TWICE),
)  # fmt: skip
