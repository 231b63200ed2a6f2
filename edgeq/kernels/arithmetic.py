"""The integer arithmetic that TensorFlow Lite's reference kernels prepare for, value for value.

Formulas: tensorflow/lite/kernels/internal/quantization_util.cc and kernel_util.cc (TensorFlow 2.14). Where the
reference multiplies scales in float and where in double decides the last bit of a multiplier, so each
caller says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeq.graph import QuantParams, Tensor
from edgeq.kernels.types import LIMITS

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True)
class Multiplier:
    """real ≈ value * 2**(shift - 31); value in [2**30, 2**31) or 0."""

    value: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """A non-negative real factor as a Q31 multiplier and a power of two (`QuantizeMultiplier`, double rounding).

    Factors below 2**-32 become 0. The kernels' arithmetic has a meaning up to a shift of 30 (softmax: 31), which rules
    see to.
    """
    if real == 0.0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    value = _round_half_away(fraction * (1 << 31))
    if value == 1 << 31:
        value //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(value, shift)


def requantized(total: int, m: Multiplier) -> int:
    """total * m as the reference rounds it: MultiplyByQuantizedMultiplier with double rounding, sums in 32 bits.

    Never decreases as `total` grows, which interval arithmetic relies on.
    """
    left, right = max(m.shift, 0), max(-m.shift, 0)
    y = ((total << left) * m.value + (1 << 30)) >> 31
    return (y + (1 << (right - 1)) - (1 if y < 0 else 0)) >> right if right else y


def _round_half_away(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def scale_of(tensor: Tensor) -> np.float32:
    """The tensor's (first) scale, float32 as in the file."""
    assert tensor.quant is not None
    return np.float32(tensor.quant.scale[0])


def zero_point_of(tensor: Tensor) -> int:
    """The tensor's (first) zero point."""
    assert tensor.quant is not None
    return int(tensor.quant.zero_point[0])


def convolution_multipliers(inp: Tensor, weights: Tensor, out: Tensor, channels: int) -> tuple[Multiplier, ...]:
    """One multiplier per output channel: double(s_in) * double(s_w[c]) / double(s_out).

    As in PopulateConvolutionQuantizationParams; one scale serves all channels when per tensor.
    """
    assert weights.quant is not None
    scales = np.broadcast_to(weights.quant.scale, (channels,))
    s_in, s_out = float(scale_of(inp)), float(scale_of(out))
    return tuple(quantize_multiplier(s_in * float(s) / s_out) for s in scales)


def fully_connected_multiplier(inp: Tensor, weights: Tensor, out: Tensor) -> Multiplier:
    """GetQuantizedConvolutionMultipler: the product of the two scales is a float, unlike a convolution's.

    (With a bias that function computes the product in double as well, but only to compare it with the bias's scale.)
    """
    product = float(np.float32(scale_of(inp) * scale_of(weights)))
    return quantize_multiplier(product / float(scale_of(out)))


def activation_range(activation: str, out: Tensor) -> tuple[int, int]:
    """The clamp of a fused activation in the output's own quantization (CalculateActivationRangeQuantized)."""
    low, high = LIMITS.get(out.dtype, (INT8_MIN, INT8_MAX))
    scale, zero = scale_of(out), zero_point_of(out)

    def quantized(real: float) -> int:
        return zero + round_half_away_f32(np.float32(real) / scale)

    if activation == "RELU":
        return max(low, quantized(0.0)), high
    if activation == "RELU6":
        return max(low, quantized(0.0)), min(high, quantized(6.0))
    if activation == "RELU_N1_TO_1":
        return max(low, quantized(-1.0)), min(high, quantized(1.0))
    if activation == "RELU_0_TO_1":
        return max(low, quantized(0.0)), min(high, quantized(1.0))
    return low, high


def round_half_away_f32(value: np.floating[npt.NBitBase] | np.float32) -> int:
    """`std::round` of a float32."""
    return _round_half_away(float(value))


def same_padding(size: int, kernel: int, stride: int, dilation: int, out: int) -> int:
    """Elements padded before the first, for SAME (ComputePaddingWithOffset): the odd one goes behind."""
    effective = (kernel - 1) * dilation + 1
    return max((out - 1) * stride + effective - size, 0) // 2


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Output elements along one dimension."""
    effective = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else -(-(size - effective + 1) // stride)


def per_tensor(quant: QuantParams | None) -> bool:
    """Whether there is exactly one scale, and it can be computed with."""
    return quant is not None and not quant.per_channel


def usable(quant: QuantParams | None) -> bool:
    """Whether all scales are finite and positive."""
    return quant is not None and bool(np.all(np.isfinite(quant.scale)) and np.all(quant.scale > 0))


def float_product(a: np.float32, b: np.float32) -> np.float32:
    """A product that the reference computes in float32."""
    return np.float32(a * b)


def float_quotient(a: np.float32, b: np.float32) -> float:
    """A quotient that the reference computes in float32 before it widens it."""
    return float(np.float32(a / b))
