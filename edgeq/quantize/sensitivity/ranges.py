"""What a layer's activations, weights and bias hold, beside what its integers can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op, Tensor
from edgeq.quantize.sensitivity.matching import dequantized_constant
from edgeq.quantize.sensitivity.products import ActivationRange, BiasRange, WeightRange

Array = npt.NDArray[Any]
_TAIL = 0.001
_MOST_VALUES = 2_000_000
"""Values that percentiles are taken of; more are thinned out evenly."""
_OFF_STEPS = 1.5
# Operators whose per-channel scales the runtimes know, with the axis of the output channels in the weights
# (TensorFlow Lite's quantization specification). FULLY_CONNECTED since its version 12.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}


def activation_range(tensor: Tensor, values: Sequence[Array]) -> ActivationRange | None:
    """Of an integer tensor whose float counterpart had these values, one array per sample; None if not quantized."""
    if tensor.quant is None or tensor.dtype.is_float:
        return None
    scale, zero = float(tensor.quant.scale[0]), int(tensor.quant.zero_point[0])
    limits = np.iinfo(str(tensor.dtype.numpy))
    held = (limits.min - zero) * scale, (limits.max - zero) * scale
    channels = tensor.shape[-1] if len(tensor.shape) > 1 else 1
    flat = [np.asarray(v, np.float32).reshape(-1, channels) for v in values]
    low = np.min([v.min(axis=0) for v in flat], axis=0)
    high = np.max([v.max(axis=0) for v in flat], axis=0)
    outside = sum(int(np.sum((v < held[0] - scale / 2) | (v > held[1] + scale / 2))) for v in flat)
    every = np.concatenate([v.reshape(-1) for v in flat])
    thinned = every[:: -(-every.size // _MOST_VALUES)]
    inner = np.quantile(thinned, [_TAIL, 1 - _TAIL])
    return ActivationRange(
        low=float(low.min()),
        high=float(high.max()),
        inner_low=float(inner[0]),
        inner_high=float(inner[1]),
        held_low=held[0],
        held_high=held[1],
        scale=scale,
        zero_point=zero,
        bits=tensor.dtype.bits,
        clipped=outside / every.size,
        channel_low=low.astype(np.float32),
        channel_high=high.astype(np.float32),
    )


def weight_range(graph: Graph, op: Op, floats: Array) -> WeightRange | None:
    """Of an operator's weights; None where they aren't quantized constants.

    Args:
        floats: the float operator's weights, of the same size and order.
    """
    tensor = graph.input_of(op, 1)
    stored = None if tensor is None else dequantized_constant(tensor)
    if tensor is None or stored is None or tensor.quant is None or stored.size != floats.size:
        return None
    axis = CHANNEL_AXIS.get(op.kind, 0)
    if op.kind not in CHANNEL_AXIS and tensor.quant.per_channel:
        axis = tensor.quant.quantized_dimension
    mine = _by_channel(stored.astype(np.float64), axis)
    wanted = _by_channel(floats.reshape(stored.shape).astype(np.float64), axis)
    scales = np.broadcast_to(tensor.quant.scale.astype(np.float64), (len(mine),)) if tensor.quant.scale.size in (
        1,
        len(mine),
    ) else np.full(len(mine), float(tensor.quant.scale.max()))  # fmt: skip
    steps = np.abs(mine - wanted) / np.maximum(scales, 1e-30)[:, None]
    power = np.sum(wanted * wanted, axis=1)
    slope = np.where(power > 0, np.sum(mine * wanted, axis=1) / np.maximum(power, 1e-30), 1.0)
    spread = np.sqrt(np.mean(wanted * wanted, axis=1))
    widths = np.abs(wanted).max(axis=1)
    return WeightRange(
        widths=widths.astype(np.float32),
        input_widths=_input_widths(op, floats.reshape(stored.shape)),
        scales=tensor.quant.scale,
        bits=tensor.dtype.bits,
        slope=slope.astype(np.float32),
        worst_steps=steps.max(axis=1).astype(np.float32),
        off_share=float(np.mean(steps > _OFF_STEPS)),
        peak=float(np.max(widths / np.maximum(spread, 1e-30))),
        per_channel_possible=op.kind in CHANNEL_AXIS,
    )


def _input_widths(op: Op, floats: Array) -> npt.NDArray[np.float32]:
    """Of CONV_2D (output, y, x, input) and FULLY_CONNECTED (output, input)."""
    if op.kind not in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV") or floats.shape[-1] < 4:
        return np.zeros(0, np.float32)
    found: npt.NDArray[np.float32] = np.abs(floats).reshape(-1, floats.shape[-1]).max(axis=0).astype(np.float32)
    return found


def _by_channel(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def bias_range(graph: Graph, op: Op, floats: Array) -> BiasRange | None:
    """Of an operator's bias, in steps of what the arithmetic takes its scale to be; None where there is none."""
    source, weights, bias = (graph.input_of(op, i) for i in range(3))
    if source is None or weights is None or bias is None or bias.data is None or bias.dtype.is_float:
        return None
    if source.quant is None or weights.quant is None or bias.data.size != floats.size:
        return None
    scale = source.quant.scale[0].astype(np.float64) * weights.quant.scale.astype(np.float64)
    if scale.size not in (1, floats.size):
        return None
    needed = floats.reshape(-1).astype(np.float64) / np.maximum(scale, 1e-300)
    stored = np.asarray(bias.data).reshape(-1).astype(np.float64)
    return BiasRange(needed, stored, float(np.iinfo(str(bias.dtype.numpy)).max))
