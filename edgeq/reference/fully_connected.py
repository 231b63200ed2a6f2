"""int8 FULLY_CONNECTED as tflite-runtime 2.14, TFLM and CMSIS-NN compute it.

Newer reference kernels requantize it in floating point; microcontrollers don't. This is gemmlowp's integer
arithmetic with its two roundings: the rounding doubling high multiply, then the rounding right shift.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import UnsupportedError
from edgeq.graph import DType, Graph, Op, Tensor

_Int64 = npt.NDArray[np.int64]

_ACTIVATION_RANGES: dict[str, tuple[float, float]] = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def is_int8_fully_connected(graph: Graph, op: Op) -> bool:
    """Whether `op` is the operator whose arithmetic differs between releases."""
    if op.kind != "FULLY_CONNECTED":
        return False
    source, weights, output = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    if source is None or weights is None or any(t.quant is None for t in (source, weights, output)):
        return False
    four_bit = weights.dtype is DType.INT4 and weights.is_constant  # unpacked when the file is read
    return source.dtype is output.dtype is DType.INT8 and (weights.dtype is DType.INT8 or four_bit)


def leaves_rows_out(graph: Graph, op: Op) -> bool:
    """Whether tflite-runtime 2.14 computes only a part of this int8 FULLY_CONNECTED.

    With one scale per output channel it takes the output for a matrix: of a tensor of three or more dimensions
    (`keep_num_dims`) only the first shape[0] * shape[1] elements are written, the others keep what was in memory.
    """
    weights, out = graph.input_of(op, 1), graph.output_of(op)
    per_channel = weights is not None and weights.quant is not None and weights.quant.per_channel
    return per_channel and len(out.shape) != 2


def fully_connected(
    graph: Graph,
    op: Op,
    inputs: npt.NDArray[np.int8],
    weights: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int32] | None,
) -> npt.NDArray[np.int8]:
    """Run one int8 FULLY_CONNECTED.

    Args:
        inputs: any shape whose elements are a multiple of the weights' row length.
        weights: (outputs, row length).
        bias: (outputs,) or None.

    Raises:
        UnsupportedError: a fused activation that integer kernels don't have.
    """
    source, filters, target = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert source is not None and filters is not None
    low, high = activation_range(target, op.text("fused_activation_function", "NONE"), graph.label(op))
    rows = inputs.reshape(-1, weights.shape[1]).astype(np.float64) - _zero_point(source)
    # Products of 9-bit numbers summed in doubles are exact up to 2**53 / 2**17 terms, and BLAS is fast.
    total = (rows @ (weights.astype(np.float64) - _zero_point(filters)).T).astype(np.int64)
    if bias is not None:
        total = total + bias.astype(np.int64)
    multipliers, shifts = _requantization(source, filters, target)
    scaled = requantize(total, multipliers, shifts) + _zero_point(target)
    return np.clip(scaled, low, high).astype(np.int8).reshape(target.shape)


def requantize(values: _Int64, multiplier: _Int64, shift: _Int64) -> _Int64:
    """gemmlowp's MultiplyByQuantizedMultiplier: values * multiplier * 2**(shift - 31), rounded twice.

    `multiplier` and `shift` broadcast against `values`.
    """
    product = (values << np.maximum(shift, 0)) * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))  # C's division truncates
    right = np.maximum(-shift, 0)
    mask = (np.int64(1) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    rounded: _Int64 = (high >> right) + ((high & mask) > threshold)
    return rounded


def quantized_multiplier(real: float) -> tuple[int, int]:
    """A positive factor as (31-bit mantissa, exponent): real = mantissa * 2**(exponent - 31)."""
    if real == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)  # half away from zero; fraction is positive
    if mantissa == 1 << 31:
        mantissa, exponent = mantissa // 2, exponent + 1
    return (0, 0) if exponent < -31 else (mantissa, exponent)


def activation_range(tensor: Tensor, activation: str, label: str) -> tuple[int, int]:
    """The int8 range that a fused activation leaves of `tensor`."""
    if activation not in _ACTIVATION_RANGES:
        raise UnsupportedError(f"{label}: integer kernels have no fused {activation}", activation=activation)
    low, high = -128, 127
    real_low, real_high = _ACTIVATION_RANGES[activation]
    if math.isfinite(real_low):
        low = max(low, _quantize(tensor, real_low))
    if math.isfinite(real_high):
        high = min(high, _quantize(tensor, real_high))
    return low, high


def _quantize(tensor: Tensor, real: float) -> int:
    quotient = float(np.float32(real) / _scale(tensor))
    return _zero_point(tensor) + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))


def _requantization(source: Tensor, filters: Tensor, target: Tensor) -> tuple[_Int64, _Int64]:
    assert filters.quant is not None
    if filters.quant.per_channel:
        reals = [float(_scale(source)) * float(scale) / float(_scale(target)) for scale in filters.quant.scale]
    else:  # one scale: the product of the two scales is a float32 here, a double above
        reals = [float(_scale(source) * filters.quant.scale[0]) / float(_scale(target))]
    pairs = [quantized_multiplier(real) for real in reals]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


def _scale(tensor: Tensor) -> np.float32:
    assert tensor.quant is not None
    scale: Any = tensor.quant.scale[0]
    return np.float32(scale)


def _zero_point(tensor: Tensor) -> int:
    assert tensor.quant is not None
    return int(tensor.quant.zero_point[0])
