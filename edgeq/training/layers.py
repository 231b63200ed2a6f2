"""Which Keras layers edgeq can train for integers, and as which operators: the one table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedError
from edgeq.training.network import Node


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer.

    Attributes:
        inputs: nodes; `shapes` are theirs, `shape` the output's, all without the batch.
        unique: a node name from a wish.
    """

    layer: Any
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    unique: Callable[[str], str]

    @property
    def name(self) -> str:
        """The layer's."""
        return str(self.layer.name)

    def node(self, kind: str, *, suffix: str = "", inputs: tuple[str, ...] | None = None, **options: Any) -> Node:
        """A node of this call."""
        trainable = bool(getattr(self.layer, "trainable", True))
        ends = self.inputs if inputs is None else inputs
        return Node(self.unique(self.name + suffix), kind, ends, self.shape, options, self.name, trainable)

    def refuse(self, why: str, next_step: str = "") -> UnsupportedError:
        """An error about this layer."""
        return UnsupportedError(
            f"layer '{self.name}' ({type(self.layer).__name__}) {why}",
            next_step=next_step or "replace the layer, or quantize after training with edgeq.convert",
            layer=self.name,
        )


@dataclass(frozen=True, eq=False)
class Made:
    """A node and its weights: "kernel", "bias", or "factor" and "offset"."""

    node: Node
    weights: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[Call], list[Made]]


def handler_of(layer: Any) -> Handler | None:
    """What makes nodes of a layer; None when edgeq doesn't know it."""
    kind = type(layer).__name__
    module = type(layer).__module__
    root = module.partition(".")[0]
    if root not in ("keras", "tf_keras"):
        return None
    if kind == "TFOpLambda":  # tf_keras: a TensorFlow function called on a Keras tensor
        return _FUNCTIONS.get(str(getattr(layer, "symbol", "")).rpartition(".")[2])
    if ".ops." in module:  # Keras 3: x + y, keras.ops.relu(x)
        return _FUNCTIONS.get(kind.lower())
    return _LAYERS.get(kind)


def known_layers() -> tuple[str, ...]:
    """Names for messages and documentation, sorted."""
    return tuple(sorted(_LAYERS))


def _conv(call: Call) -> list[Made]:
    layer = call.layer
    _channels_last(call)
    if int(getattr(layer, "groups", 1)) != 1:
        raise call.refuse(f"has {layer.groups} groups", "use one group, or a DepthwiseConv2D")
    node = call.node("CONV_2D", **_window(layer, layer.kernel_size))
    return _activated(call, Made(node, _kernel_and_bias(layer, layer.kernel, node.shape[-1])))


def _depthwise(call: Call) -> list[Made]:
    layer = call.layer
    _channels_last(call)
    kernel = getattr(layer, "depthwise_kernel", None)
    kernel = layer.kernel if kernel is None else kernel
    node = call.node("DEPTHWISE_CONV_2D", **_window(layer, layer.kernel_size))
    return _activated(call, Made(node, _kernel_and_bias(layer, kernel, node.shape[-1])))


def _separable(call: Call) -> list[Made]:
    """A depthwise convolution without bias, then a 1×1 convolution."""
    layer = call.layer
    _channels_last(call)
    depthwise, pointwise = _array(layer.depthwise_kernel), _array(layer.pointwise_kernel)
    between = depthwise.shape[2] * depthwise.shape[3]
    node = call.node("DEPTHWISE_CONV_2D", suffix="_depthwise", **_window(layer, layer.kernel_size))
    first = Node(
        node.name, node.kind, node.inputs, (*call.shape[:2], between), node.options, node.layer, node.trainable
    )
    second = call.node(
        "CONV_2D", suffix="_pointwise", inputs=(first.name,), strides=[1, 1], padding="VALID", dilation=[1, 1]
    )
    made = Made(first, {"kernel": depthwise, "bias": np.zeros(between, np.float32)})
    return [made, *_activated(call, Made(second, _kernel_and_bias(layer, pointwise, second.shape[-1])))]


def _dense(call: Call) -> list[Made]:
    weights = _kernel_and_bias(call.layer, call.layer.kernel, call.shape[-1])
    if len(call.shapes[0]) == 1:
        return _activated(call, Made(call.node("FULLY_CONNECTED"), weights))
    if len(call.shapes[0]) == 3:  # on every pixel: a 1×1 convolution
        node = call.node("CONV_2D", strides=[1, 1], padding="VALID", dilation=[1, 1])
        return _activated(call, Made(node, {**weights, "kernel": weights["kernel"][None, None]}))
    raise call.refuse(f"works on an input of shape {call.shapes[0]}", "Flatten the input first")


def _batch_norm(call: Call) -> list[Made]:
    layer = call.layer
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, len(call.shape)):
        raise call.refuse(f"normalizes axis {axis}", "normalize the channels: axis=-1")
    deviation = np.sqrt(_array(layer.moving_variance).astype(np.float64) + layer.epsilon)
    gamma = 1.0 if layer.gamma is None else _array(layer.gamma).astype(np.float64)
    beta = 0.0 if layer.beta is None else _array(layer.beta).astype(np.float64)
    factor = gamma / deviation
    offset = beta - _array(layer.moving_mean).astype(np.float64) * factor
    return [Made(call.node("AFFINE"), {"factor": factor, "offset": offset})]


def _rescaling(call: Call) -> list[Made]:
    channels = call.shape[-1] if call.shape else 1
    factor = np.broadcast_to(np.asarray(call.layer.scale, np.float64), (channels,))
    offset = np.broadcast_to(np.asarray(call.layer.offset, np.float64), (channels,))
    return [Made(call.node("AFFINE"), {"factor": factor, "offset": offset})]


def _normalization(call: Call) -> list[Made]:
    layer = call.layer
    if getattr(layer, "invert", False):
        raise call.refuse("is inverted")
    mean, variance = _array(layer.mean).reshape(-1), _array(layer.variance).reshape(-1)
    if mean.size not in (1, call.shape[-1]):
        raise call.refuse("doesn't normalize the last axis", "use axis=-1")
    deviation = np.maximum(np.sqrt(variance.astype(np.float64)), 1e-7)  # Keras' own epsilon
    factor = np.broadcast_to(1.0 / deviation, (call.shape[-1],))
    offset = np.broadcast_to(-mean / deviation, (call.shape[-1],))
    return [Made(call.node("AFFINE"), {"factor": factor, "offset": offset})]


def _activation(call: Call) -> list[Made]:
    return _activation_nodes(call, call.layer.activation, call.inputs, "")


def _relu(call: Call) -> list[Made]:
    layer = call.layer
    slope = float(getattr(layer, "negative_slope", 0.0) or 0.0)
    most = getattr(layer, "max_value", None)
    if float(getattr(layer, "threshold", 0.0) or 0.0) != 0.0 or (most is not None and (slope or float(most) != 6.0)):
        raise call.refuse("is neither ReLU, ReLU6 nor leaky", "use max_value 6 or None, and threshold 0")
    if slope:
        return [Made(call.node("LEAKY_RELU", alpha=slope))]
    return [Made(call.node("RELU" if most is None else "RELU6"))]


def _leaky(call: Call) -> list[Made]:
    layer = call.layer
    slope = getattr(layer, "negative_slope", None)
    return [Made(call.node("LEAKY_RELU", alpha=float(layer.alpha if slope is None else slope)))]


def _softmax(call: Call) -> list[Made]:
    axis = getattr(call.layer, "axis", -1)
    if axis not in (-1, len(call.shape)):
        raise call.refuse(f"is over axis {axis}", "use the last axis")
    return [Made(call.node("SOFTMAX"))]


def _simple(kind: str) -> Handler:
    def handler(call: Call) -> list[Made]:
        return [Made(call.node(kind))]

    return handler


def _joined(kind: str) -> Handler:
    """Add, Subtract, Multiply: of two tensors, or a chain of such."""

    def handler(call: Call) -> list[Made]:
        if len(call.inputs) < 2:
            raise call.refuse("takes a constant", "only sums and products of two layers' outputs are supported")
        made: list[Made] = []
        left = call.inputs[0]
        for place, right in enumerate(call.inputs[1:]):
            node = call.node(kind, suffix="" if place == 0 else f"_{place}", inputs=(left, right))
            made.append(Made(node))
            left = node.name
        return made

    return handler


def _concatenate(call: Call) -> list[Made]:
    axis = call.layer.axis
    axis = axis + len(call.shape) + 1 if axis < 0 else axis
    if axis < 1:
        raise call.refuse("joins along the batch")
    return [Made(call.node("CONCATENATION", axis=int(axis)))]


def _pool(kind: str) -> Handler:
    def handler(call: Call) -> list[Made]:
        layer = call.layer
        _channels_last(call)
        strides = layer.pool_size if layer.strides is None else layer.strides
        options = {"strides": _pair(strides), "padding": layer.padding.upper(), "size": _pair(layer.pool_size)}
        return [Made(call.node(kind, **options))]

    return handler


def _global_average(call: Call) -> list[Made]:
    _channels_last(call)
    return [Made(call.node("MEAN", keep_dims=bool(getattr(call.layer, "keepdims", False))))]


def _global_max(call: Call) -> list[Made]:
    """A maximum over the whole picture, then a reshape."""
    _channels_last(call)
    height, width, channels = call.shapes[0]
    pooled = call.node("MAX_POOL_2D", size=[height, width], strides=[1, 1], padding="VALID")
    first = Node(pooled.name, pooled.kind, pooled.inputs, (1, 1, channels), pooled.options, pooled.layer)
    if getattr(call.layer, "keepdims", False):
        return [Made(first)]
    return [Made(first), Made(call.node("RESHAPE", suffix="_flat", inputs=(first.name,)))]


def _padding(call: Call) -> list[Made]:
    _channels_last(call)
    rows, columns = call.layer.padding
    return [Made(call.node("PAD", rows=[int(v) for v in rows], columns=[int(v) for v in columns]))]


def _upsampling(call: Call) -> list[Made]:
    _channels_last(call)
    if call.layer.interpolation != "nearest":
        raise call.refuse(f"interpolates by '{call.layer.interpolation}'", "use interpolation='nearest'")
    return [Made(call.node("RESIZE_NEAREST_NEIGHBOR"))]


def _dropout(call: Call) -> list[Made]:
    whole = type(call.layer).__name__ == "SpatialDropout2D"
    return [Made(call.node("DROPOUT", rate=float(call.layer.rate), whole_channels=whole))]


def _nothing(call: Call) -> list[Made]:
    return []


def _activated(call: Call, made: Made) -> list[Made]:
    return [made, *_activation_nodes(call, call.layer.activation, (made.node.name,), "_activation")]


def _activation_nodes(call: Call, function: Any, inputs: tuple[str, ...], suffix: str) -> list[Made]:
    """A layer's `activation`: a function by its name, or a layer used as one."""
    if function is None:
        return []
    if hasattr(function, "get_config") and type(function).__name__ in ("ReLU", "LeakyReLU", "Softmax"):
        inner = Call(function, inputs, (call.shape,), call.shape, call.unique)
        return _LAYERS[type(function).__name__](inner)
    name = str(getattr(function, "__name__", type(function).__name__))
    if name == "linear":
        return []
    if name in ("silu", "swish"):
        gate = call.node("LOGISTIC", suffix=f"{suffix}_gate", inputs=inputs)
        return [Made(gate), Made(call.node("MUL", suffix=suffix, inputs=(*inputs, gate.name)))]
    if name == "leaky_relu":  # Keras 3's default slope
        return [Made(call.node("LEAKY_RELU", suffix=suffix, inputs=inputs, alpha=0.2))]
    kind = _ACTIVATIONS.get(name)
    if kind is None:
        raise call.refuse(
            f"has the activation '{name}', which has no form with quantization in training",
            f"use one of: linear, silu, leaky_relu, {', '.join(_ACTIVATIONS)}",
        )
    return [Made(call.node(kind, suffix=suffix, inputs=inputs))]


def _window(layer: Any, size: Any) -> dict[str, Any]:
    padding = str(layer.padding).upper()
    return {
        "size": _pair(size),
        "strides": _pair(layer.strides),
        "padding": padding,
        "dilation": _pair(getattr(layer, "dilation_rate", 1)),
    }


def _pair(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)] * 2


def _kernel_and_bias(layer: Any, kernel: Any, channels: int) -> dict[str, Any]:
    bias = getattr(layer, "bias", None)
    return {"kernel": _array(kernel), "bias": np.zeros(channels, np.float32) if bias is None else _array(bias)}


def _array(variable: Any) -> Any:
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)


def _channels_last(call: Call) -> None:
    if getattr(call.layer, "data_format", "channels_last") != "channels_last":
        raise call.refuse("has its channels first", "use data_format='channels_last'")


_ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {"relu": "RELU", "relu6": "RELU6", "sigmoid": "LOGISTIC", "tanh": "TANH", "softmax": "SOFTMAX"}
)

_LAYERS: Mapping[str, Handler] = MappingProxyType(
    {
        "Activation": _activation,
        "Add": _joined("ADD"),
        "AveragePooling2D": _pool("AVERAGE_POOL_2D"),
        "BatchNormalization": _batch_norm,
        "Concatenate": _concatenate,
        "Conv2D": _conv,
        "Dense": _dense,
        "DepthwiseConv2D": _depthwise,
        "Dropout": _dropout,
        "Flatten": _simple("RESHAPE"),
        "GlobalAveragePooling2D": _global_average,
        "GlobalMaxPooling2D": _global_max,
        "Identity": _nothing,
        "LeakyReLU": _leaky,
        "MaxPooling2D": _pool("MAX_POOL_2D"),
        "Multiply": _joined("MUL"),
        "Normalization": _normalization,
        "ReLU": _relu,
        "Rescaling": _rescaling,
        "Reshape": _simple("RESHAPE"),
        "SeparableConv2D": _separable,
        "Softmax": _softmax,
        "SpatialDropout2D": _dropout,
        "Subtract": _joined("SUB"),
        "UpSampling2D": _upsampling,
        "ZeroPadding2D": _padding,
    }
)

_FUNCTIONS: Mapping[str, Handler] = MappingProxyType(
    {
        "add": _joined("ADD"),
        "multiply": _joined("MUL"),
        "mul": _joined("MUL"),
        "subtract": _joined("SUB"),
        "sub": _joined("SUB"),
        "relu": _simple("RELU"),
        "relu6": _simple("RELU6"),
        "sigmoid": _simple("LOGISTIC"),
        "tanh": _simple("TANH"),
    }
)
"""Functions on Keras tensors: an operator of Keras 3 by its class, one of TensorFlow (tf_keras) by its name."""
