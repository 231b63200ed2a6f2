"""Which values each channel of each tensor can take, for whatever input: interval arithmetic on integers.

Exact where it matters: requantization never decreases as the sum grows, so the ends of the sum's interval give
the ends of the output's. An operator that isn't followed here leaves its output anywhere in int8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import KERNELS, arithmetic, convolution, fully_connected
from edgeq.kernels.arithmetic import INT8_MAX, INT8_MIN, Multiplier
from edgeq.kernels.windows import Window

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Interval:
    """The least and the greatest value of each channel (last dimension), int64, read-only."""

    low: Integers
    high: Integers

    @property
    def constant(self) -> npt.NDArray[np.bool_]:
        """Where both are equal: the channel has one value."""
        return np.asarray(self.low == self.high, np.bool_)


def channel_ranges(graph: Graph) -> Mapping[int, Interval]:
    """The interval of every int8 activation that has channels, by tensor index."""
    ranges: dict[int, Interval] = {}
    for index in graph.inputs:
        if _has_channels(graph.tensors[index]):
            ranges[index] = anything(graph, index)
    for op in graph.ops:
        for index in op.outputs:
            if _has_channels(graph.tensors[index]):
                ranges[index] = anything(graph, index)
        follow = _FOLLOWED.get(op.kind)
        known = op.outputs[0] in ranges and bool(op.inputs) and op.inputs[0] in ranges
        if follow is not None and known and is_served(graph, op):
            ranges[op.outputs[0]] = follow(graph, op, ranges)
    return MappingProxyType(ranges)


def _has_channels(tensor: Tensor) -> bool:
    return tensor.dtype is DType.INT8 and tensor.elements > 0 and len(tensor.shape) > 0


def anything(graph: Graph, index: int) -> Interval:
    """Every channel anywhere in int8."""
    channels = graph.tensors[index].shape[-1]
    return Interval(np.full(channels, INT8_MIN, np.int64), np.full(channels, INT8_MAX, np.int64))


def is_served(graph: Graph, op: Op) -> bool:
    """Whether the operator keeps the rules of a portable kernel, so that its parts can be looked at."""
    return any(k.op == op.kind and not k.requires and not k.violations(graph, op) for k in KERNELS)


def reads_padding(w: Window) -> bool:
    """Whether any position of a convolution's window lies outside of its input."""
    below = (w.out_h - 1) * w.stride_h - w.pad_h + (w.filter_h - 1) * w.dilation_h >= w.in_h
    right = (w.out_w - 1) * w.stride_w - w.pad_w + (w.filter_w - 1) * w.dilation_w >= w.in_w
    return w.pad_h > 0 or w.pad_w > 0 or below or right


def outputs_of(total: Integers, multipliers: tuple[Multiplier, ...], zero: int, clamp: tuple[int, int]) -> Integers:
    """Sums to output values, one multiplier per channel or one for all (double rounding, as the reference)."""
    found = np.empty(total.size, np.int64)
    for channel, value in enumerate(total.tolist()):
        m = multipliers[min(channel, len(multipliers) - 1)]
        found[channel] = min(max(arithmetic.requantized(value, m) + zero, clamp[0]), clamp[1])
    return found


def _with_padding(interval: Interval, zero: int, padded: bool) -> Interval:
    if not padded:
        return interval
    return Interval(np.minimum(interval.low, zero), np.maximum(interval.high, zero))


def _sums(weights: Integers, bias: Integers, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """Least and greatest bias + weights @ x for low ≤ x ≤ high; weights [channels][depth]."""
    positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
    return bias + positive @ low + negative @ high, bias + positive @ high + negative @ low


def _fits(low: Integers, high: Integers, multipliers: tuple[Multiplier, ...]) -> bool:
    """Whether the reference's 32-bit arithmetic can't wrap anywhere in the interval."""
    most = max(int(np.abs(low).max(initial=0)), int(np.abs(high).max(initial=0)))
    return most << max((max(m.shift, 0) for m in multipliers), default=0) < 1 << 31


def _matrix_interval(
    weights: Integers,
    bias: Integers,
    given: Interval,
    zero: int,
    multipliers: tuple[Multiplier, ...],
    out_zero: int,
    clamp: tuple[int, int],
) -> Interval:
    low, high = _sums(weights, bias, given.low - zero, given.high - zero)
    if not _fits(low, high, multipliers):
        return Interval(np.full(low.size, clamp[0], np.int64), np.full(low.size, clamp[1], np.int64))
    return Interval(
        outputs_of(low, multipliers, out_zero, clamp),
        outputs_of(high, multipliers, out_zero, clamp),
    )


def _conv(graph: Graph, op: Op, ranges: Mapping[int, Interval]) -> Interval:
    p = convolution.parts(graph, op)
    zero = arithmetic.zero_point_of(p.inp)
    if p.weights.shape[3] != p.window.in_c:  # groups
        return Interval(np.full(p.window.out_c, p.act_min, np.int64), np.full(p.window.out_c, p.act_max, np.int64))
    given = _with_padding(ranges[op.inputs[0]], zero, reads_padding(p.window))
    taps = p.window.filter_h * p.window.filter_w
    return _matrix_interval(
        p.weights.reshape(p.window.out_c, -1).astype(np.int64),
        p.bias.astype(np.int64),
        Interval(np.tile(given.low, taps), np.tile(given.high, taps)),
        zero,
        p.multipliers,
        arithmetic.zero_point_of(p.out),
        (p.act_min, p.act_max),
    )


def _depthwise(graph: Graph, op: Op, ranges: Mapping[int, Interval]) -> Interval:
    p = convolution.parts(graph, op)
    zero = arithmetic.zero_point_of(p.inp)
    given = _with_padding(ranges[op.inputs[0]], zero, reads_padding(p.window))
    times = p.window.out_c // p.window.in_c
    weights = p.weights.reshape(-1, p.window.out_c).T.astype(np.int64)
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    least, most = np.repeat(given.low - zero, times), np.repeat(given.high - zero, times)
    low = p.bias.astype(np.int64) + positive * least + negative * most
    high = p.bias.astype(np.int64) + positive * most + negative * least
    clamp = (p.act_min, p.act_max)
    if not _fits(low, high, p.multipliers):
        return Interval(np.full(low.size, clamp[0], np.int64), np.full(low.size, clamp[1], np.int64))
    out_zero = arithmetic.zero_point_of(p.out)
    return Interval(outputs_of(low, p.multipliers, out_zero, clamp), outputs_of(high, p.multipliers, out_zero, clamp))


def _fully_connected(graph: Graph, op: Op, ranges: Mapping[int, Interval]) -> Interval:
    given, weights = ranges[op.inputs[0]], graph.input_of(op, 1)
    if weights is None or not weights.is_constant or given.low.size != weights.shape[1]:
        return anything(graph, op.outputs[0])
    p = fully_connected.parts(graph, op)
    return _matrix_interval(
        p.weights.astype(np.int64) - p.weights_zero,
        p.bias.astype(np.int64),
        given,
        arithmetic.zero_point_of(p.inp),
        p.multipliers,
        arithmetic.zero_point_of(p.out),
        (p.act_min, p.act_max),
    )


def _pool(graph: Graph, op: Op, ranges: Mapping[int, Interval]) -> Interval:
    """A mean or a maximum of values of an interval lies in it; then the clamp."""
    low, high = arithmetic.activation_range(op.text("fused_activation_function", "NONE"), graph.output_of(op))
    given = ranges[op.inputs[0]]
    return Interval(np.clip(given.low, low, high), np.clip(given.high, low, high))


def _reshape(graph: Graph, op: Op, ranges: Mapping[int, Interval]) -> Interval:
    """Rows of channels laid end to end repeat the channels' intervals."""
    given, out = ranges[op.inputs[0]], graph.output_of(op)
    last = out.shape[-1]
    if last % given.low.size:
        return anything(graph, op.outputs[0])
    times = last // given.low.size
    return Interval(np.tile(given.low, times), np.tile(given.high, times))


_FOLLOWED = MappingProxyType(
    {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _fully_connected,
        "AVERAGE_POOL_2D": _pool,
        "MAX_POOL_2D": _pool,
        "RESHAPE": _reshape,
    }
)
