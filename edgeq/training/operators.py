"""Each operator in TensorFlow, on Values: with quantization, or in float where a Value has no parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from edgeq.training.integers import (
    Parameters,
    Value,
    activated,
    added,
    averaged,
    leaky,
    multiplied,
    quantize_bias,
    quantize_weights,
    round_away,
    straight_through,
)
from edgeq.training.network import SAME_SCALE, Node

KERNEL_AXES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"CONV_2D": (0, 1, 2), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0,)}
)
"""What a channel's weights run along, in Keras' layout."""


def weighted(node: Node, source: Value, kernel: Any, bias: Any) -> Any:
    """CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED in float."""
    return activated(_products(node, source.n, kernel) + bias, node.fused)


def weighted_sums(node: Node, source: Value, kernel: Any, bias: Any, bits: int) -> tuple[Any, Any, Any]:
    """The same in integers: int32 sums (held in float32), and the scales of input () and weights (channels,)."""
    assert source.parameters is not None
    integers, scale = quantize_weights(kernel, KERNEL_AXES[node.kind], bits)
    scale = tf.reshape(scale, (-1,))
    sums = _products(node, source.n, integers) + quantize_bias(bias, scale * source.parameters.scale)
    return sums, source.parameters.scale, scale


def _products(node: Node, source: Any, kernel: Any) -> Any:
    if node.kind == "FULLY_CONNECTED":
        return tf.matmul(source, kernel)
    padding = node.options["padding"]
    strides, dilation = [int(s) for s in node.options["strides"]], [int(d) for d in node.options["dilation"]]
    if node.kind == "CONV_2D":
        return tf.nn.conv2d(source, kernel, strides, padding, dilations=dilation)
    return tf.nn.depthwise_conv2d(source, kernel, [1, *strides, 1], padding, dilations=dilation)


def plain(node: Node, sources: Sequence[Value]) -> Any:
    """Any operator without weights that computes new values: the real output before requantization."""
    return activated(_PLAIN[node.kind](node, *(source.real for source in sources)), node.fused)


def plain_integers(node: Node, sources: Sequence[Value], parameters: Parameters) -> Any | None:
    """The output's integers as the int8 kernel computes them, where it doesn't compute as `plain` does and round once.

    None where it does, or its tables can't differ by more than a step.
    """
    if node.kind in ("ADD", "SUB"):
        return added(sources[0], sources[1], 1.0 if node.kind == "ADD" else -1.0, parameters)
    if node.kind == "MUL":
        return multiplied(sources[0], sources[1], parameters)
    if node.kind == "LEAKY_RELU":
        return leaky(sources[0], float(node.options["alpha"]), parameters)
    if node.kind == "MEAN":
        (source,) = sources
        assert source.parameters is not None
        sums = tf.cast(_sum(node, tf.stop_gradient(source.n)), tf.float64)
        count = int(source.n.shape[1] * source.n.shape[2])
        factor = tf.cast(tf.stop_gradient(source.parameters.scale), tf.float64)
        return averaged(sums, count, factor / tf.cast(tf.stop_gradient(parameters.scale), tf.float64))
    return None


def same_scale(node: Node, source: Value, training: bool) -> Value:
    """Operators that keep the input's parameters."""
    assert node.kind in SAME_SCALE
    if node.kind == "DROPOUT":
        return Value(_dropout(node, source.n) if training else source.n, source.parameters)
    if node.kind == "AVERAGE_POOL_2D" and source.parameters is not None:
        return Value(_integer_average(node, source.n, source.parameters), source.parameters)
    return Value(_MOVED[node.kind](node, source.n), source.parameters)


def _integer_average(node: Node, n: Any, parameters: Parameters) -> Any:
    """The runtime averages q, zero point included, and rounds halves away from zero."""
    mean = _average_pool(node, n + parameters.zero)
    return straight_through(mean, round_away(mean)) - parameters.zero


def _average_pool(node: Node, x: Any) -> Any:
    return tf.nn.avg_pool2d(x, node.options["size"], node.options["strides"], node.options["padding"])


def _max_pool(node: Node, x: Any) -> Any:
    return tf.nn.max_pool2d(x, node.options["size"], node.options["strides"], node.options["padding"])


def _reshape(node: Node, x: Any) -> Any:
    return tf.reshape(x, (-1, *node.shape))


def _pad(node: Node, x: Any) -> Any:
    return tf.pad(x, [[0, 0], node.options["rows"], node.options["columns"], [0, 0]])


def _nearest(node: Node, x: Any) -> Any:
    return tf.image.resize(x, node.shape[:2], method="nearest")


def _dropout(node: Node, x: Any) -> Any:
    shape = None
    if node.options.get("whole_channels"):
        shape = (tf.shape(x)[0], 1, 1, x.shape[-1])
    return tf.nn.dropout(x, node.options["rate"], noise_shape=shape)


def _sum(node: Node, x: Any) -> Any:
    return tf.round(tf.reduce_sum(x, axis=(1, 2), keepdims=bool(node.options.get("keep_dims"))))


def _mean(node: Node, x: Any) -> Any:
    return tf.reduce_mean(x, axis=(1, 2), keepdims=bool(node.options.get("keep_dims")))


_MOVED: Mapping[str, Callable[[Node, Any], Any]] = MappingProxyType(
    {
        "RESHAPE": _reshape,
        "PAD": _pad,
        "MAX_POOL_2D": _max_pool,
        "AVERAGE_POOL_2D": _average_pool,
        "RESIZE_NEAREST_NEIGHBOR": _nearest,
    }
)
_PLAIN: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "ADD": lambda node, a, b: a + b,
        "SUB": lambda node, a, b: a - b,
        "MUL": lambda node, a, b: a * b,
        "MEAN": _mean,
        "RELU": lambda node, x: tf.nn.relu(x),
        "RELU6": lambda node, x: tf.nn.relu6(x),
        "LEAKY_RELU": lambda node, x: tf.nn.leaky_relu(x, node.options["alpha"]),
        "LOGISTIC": lambda node, x: tf.sigmoid(x),
        "TANH": lambda node, x: tf.tanh(x),
        "SOFTMAX": lambda node, x: tf.nn.softmax(x),
    }
)
