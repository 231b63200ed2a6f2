"""Quantized arithmetic in TensorFlow, with gradients: what the runtime's integers do, on floats that hold integers.

A tensor travels as `n`, integers (q − zero point) in float32, and its scale; the real value is n · scale. Sums of
products of such n are exact in float32 up to 2^24, and are requantized in integers with the kernels' own rounding
(gemmlowp's), so that layers with weights give the file's bytes. Gradients pass rounding unchanged (straight through)
and stop where a value was clipped; the scale's own gradient is then that of learned step size quantization (Esser et
al., 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgeq.training.ranges import Fixed

_TINY = 1e-9  # ai-edge-quantizer's least extent of a range


@dataclass(frozen=True, eq=False)
class Parameters:
    """Scale and zero point of one group, as scalar tensors, and the limits of its integers."""

    scale: Any
    zero: Any
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor: n (batch, …) and its parameters; parameters None means n is the real value."""

    n: Any
    parameters: Parameters | None

    @property
    def real(self) -> Any:
        """The values it stands for."""
        return self.n if self.parameters is None else self.n * self.parameters.scale


def activation_parameters(low: Any, high: Any, bits: int) -> Parameters:
    """Of a range, as `edgeq.quantize` has them: 8 bits with a zero point, 16 bits symmetric; 0 is always inside."""
    low, high = tf.minimum(low, 0.0), tf.maximum(high, 0.0)
    if bits == 16:
        scale = tf.maximum(tf.maximum(-low, high), _TINY) / 32767.0
        return Parameters(scale, tf.zeros_like(scale), -32767.0, 32767.0)
    scale = tf.maximum(high - low, _TINY) / 255.0
    zero = tf.stop_gradient(tf.clip_by_value(tf.round(-128.0 - low / scale), -128.0, 127.0))
    return Parameters(scale, zero, -128.0, 127.0)


def fixed_parameters(fixed: Fixed, bits: int) -> Parameters:
    """Of an operator whose output's parameters the runtime prescribes."""
    most = float(2 ** (bits - 1) - 1)
    least = -most - 1 if bits == 8 else -most
    return Parameters(tf.constant(fixed.scale, tf.float32), tf.constant(float(fixed.zero_point)), least, most)


def quantize(real: Any, parameters: Parameters) -> Value:
    """Round to the group's integers, halves away from zero, and saturate."""
    least, most = parameters.low - parameters.zero, parameters.high - parameters.zero
    inside = tf.clip_by_value(real / parameters.scale, least, most)
    return Value(straight_through(inside, round_away(inside)), parameters)


def requantize(sums: Any, steps: tuple[Any, Any], parameters: Parameters, limit: str, exact: bool) -> Value:
    """A layer's int32 sums as the output's integers; exactly so, with the roundings of TensorFlow Lite's reference.

    The gradient is that of `quantize`.

    Args:
        steps: scales of the input () and of the weights (channels,).
        parameters: of the output.
        limit: "NONE", "RELU" or "RELU6".
        exact: else a single rounding, which differs in about one of a thousand values, by 1, and costs less.
    """
    smooth = quantize(activated(sums * (steps[0] * steps[1]), limit), parameters)
    if not exact or parameters.high > 127.0:  # int16 kernels requantize in another way
        return smooth
    factors = [tf.cast(tf.stop_gradient(s), tf.float64) for s in (*steps, parameters.scale)]
    integers = rescaled(tf.round(tf.stop_gradient(sums)), factors[0] * factors[1] / factors[2])
    return limited(smooth, integers, parameters, limit)


def rescaled(sums: Any, factor: Any) -> Any:
    """sums · factor, rounded as MultiplyByQuantizedMultiplier rounds it; integers in float64.

    The multiplier is a 31-bit integer and a shift; the product is rounded twice, first to whole numbers (halves up),
    then by the shift (halves away from zero), as 2.14 does it.
    A product has up to 55 bits and float64 keeps 53, which matters only within 2^-28 of a tie.
    """
    return _scaled(sums, *_multiplier(factor))


def averaged(sums: Any, count: int, factor: Any) -> Any:
    """sums / count · factor: the count is divided out of the multiplier, as QuantizedMeanOrSum does it in integers."""
    multiplier, shift = _multiplier(factor)
    more = tf.minimum(tf.constant(float(min(count.bit_length() - 1, 32)), tf.float64), 31.0 + shift)
    return _scaled(sums, tf.floor(multiplier * 2.0**more / count), shift - more)


def added(a: Value, b: Value, sign: float, parameters: Parameters) -> Any:
    """a + b or a − b: both brought to 2^20ths of twice the greater scale, then to the output's (add.cc, sub.cc)."""
    assert a.parameters is not None and b.parameters is not None
    first, second, out = (_wide(p.scale) for p in (a.parameters, b.parameters, parameters))
    common = 2.0 * tf.maximum(first, second)
    fine = 2.0**20
    left, right = rescaled(_wide(a.n) * fine, first / common), rescaled(_wide(b.n) * fine, second / common)
    return rescaled(left + sign * right, common / (fine * out))


def multiplied(a: Value, b: Value, parameters: Parameters) -> Any:
    """a · b; the three scales are multiplied and divided in float32 (mul.cc)."""
    assert a.parameters is not None and b.parameters is not None
    factor = tf.stop_gradient(a.parameters.scale) * tf.stop_gradient(b.parameters.scale)
    return rescaled(_wide(a.n) * _wide(b.n), _wide(factor / tf.stop_gradient(parameters.scale)))


def leaky(x: Value, slope: float, parameters: Parameters) -> Any:
    """Each side of zero with its own multiplier, divided in float32 (QuantizeLeakyRelu)."""
    assert x.parameters is not None
    scale, out = tf.stop_gradient(x.parameters.scale), tf.stop_gradient(parameters.scale)
    sums = _wide(x.n)
    return tf.where(sums >= 0, rescaled(sums, _wide(scale / out)), rescaled(sums, _wide(scale * slope / out)))


def limited(smooth: Value, integers: Any, parameters: Parameters, limit: str) -> Value:
    """Integers within the output's range and an activation's; the gradient is that of `smooth`."""
    least, most = parameters.low - parameters.zero, parameters.high - parameters.zero
    if limit != "NONE":
        least = tf.maximum(least, 0.0)
    if limit == "RELU6":
        most = tf.minimum(most, round_away(6.0 / tf.stop_gradient(parameters.scale)))
    inside = tf.clip_by_value(tf.cast(integers, tf.float32), least, most)
    return Value(straight_through(smooth.n, inside), parameters)


def _wide(value: Any) -> Any:
    return tf.cast(tf.round(tf.stop_gradient(value)) if value.shape.rank else tf.stop_gradient(value), tf.float64)


def _scaled(sums: Any, multiplier: Any, shift: Any) -> Any:
    high = tf.floor(tf.cast(sums, tf.float64) * (multiplier * 2.0 ** (tf.maximum(shift, 0.0) - 31.0)) + 0.5)
    return tf.sign(high) * tf.floor(tf.abs(high) * 2.0 ** tf.minimum(shift, 0.0) + 0.5)


def _multiplier(real: Any) -> tuple[Any, Any]:
    """(a 31-bit integer, a shift): real = integer · 2^(shift − 31), as QuantizeMultiplier finds them, in float64."""
    shift = tf.floor(tf.math.log(real) / tf.constant(math.log(2.0), tf.float64)) + 1.0
    shift += tf.cast(real >= 2.0**shift, tf.float64) - tf.cast(real < 2.0 ** (shift - 1.0), tf.float64)
    integer = round_away(real / 2.0**shift * 2.0**31)
    over = integer >= 2.0**31
    integer, shift = tf.where(over, integer / 2.0, integer), tf.where(over, shift + 1.0, shift)
    none = shift < -31.0
    return tf.where(none, tf.zeros_like(shift), integer), tf.where(none, tf.zeros_like(shift), shift)


def activated(x: Any, limit: str) -> Any:
    """With the activation that an operator has taken in."""
    if limit == "RELU":
        return tf.nn.relu(x)
    return tf.nn.relu6(x) if limit == "RELU6" else x


def quantize_weights(kernel: Any, axes: tuple[int, ...], bits: int) -> tuple[Any, Any]:
    """Symmetric per channel: integers, and scales of the shape of a kernel reduced over `axes` (kept as 1).

    The scale is max|w| / (2^(bits−1) − 1), as the converter takes it from the weights themselves.
    """
    most = float(2 ** (bits - 1) - 1)
    extent = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True)
    scale = tf.maximum(extent, _TINY) / most
    ratio = kernel / scale
    return straight_through(ratio, tf.clip_by_value(tf.round(ratio), -most, most)), scale


def quantize_bias(bias: Any, scale: Any) -> Any:
    """As int32 (held in float32) of the scale input · weights."""
    ratio = bias / scale
    return straight_through(ratio, tf.clip_by_value(tf.round(ratio), -(2.0**31), 2.0**31 - 128))


def straight_through(given: Any, rounded: Any) -> Any:
    """`rounded` in the forward pass; the gradient of `given`."""
    return given + tf.stop_gradient(rounded - given)


def round_away(values: Any) -> Any:
    """To the nearest integer, halves away from zero, as the runtime's kernels round."""
    return tf.sign(values) * tf.floor(tf.abs(values) + 0.5)


def scale_gradient(value: Any, factor: float) -> Any:
    """The same value with its gradient multiplied."""
    return value * factor + tf.stop_gradient(value * (1.0 - factor))
