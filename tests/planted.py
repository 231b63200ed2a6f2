"""A digits network with a residual join, quantized well, and then spoiled in one known layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from models import RELU, SAME, VALID, NetBuilder, digits

from edgeq import tflite
from edgeq.events import silent
from edgeq.graph import Graph, Op
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize.calibration import calibrate
from edgeq.quantize.data import Dataset, load_data
from edgeq.quantize.methods import Range
from edgeq.quantize.methods.min_max import METHOD
from edgeq.quantize.ptq import quantize
from edgeq.tflite.objects import constant_buffer, pack, unpack

CHANNELS = 16
_ONE = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
Spoiled = tuple[Model, bytes]
"""The float model, and the quantized one made from it."""
Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fault:
    """One way to spoil a layer.

    Attributes:
        kinds: what the first cause may be called.
        plant: (model, ranges, layer's index in the float graph, generator) → spoiled pair.
        fits: whether a layer can be spoiled that way.
    """

    name: str
    kinds: tuple[str, ...]
    plant: Callable[[Model, Mapping[int, Range], int, np.random.Generator], Spoiled]
    fits: Callable[[Graph, Op], bool]


@lru_cache(maxsize=1)
def weights() -> Weights:
    """Random features of unit gain, and a last layer trained on a thousand digits."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(11)
    made: Weights = {"conv": rng.normal(0, 0.5, (CHANNELS, 3, 3, 1))}
    for block in range(2):
        made[f"depthwise{block}"] = rng.normal(0, 0.45, (1, 3, 3, CHANNELS))
        made[f"pointwise{block}"] = rng.normal(0, 0.4, (CHANNELS, 1, 1, CHANNELS))
    for name in list(made):
        made[f"{name}_bias"] = rng.normal(0, 0.1, CHANNELS)
    images, labels = digits()
    bare = plain_float(net(made), name="bare", source="", kind="tflite")
    features = _features(bare, images[:1000])
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        head = LogisticRegression(max_iter=60, C=0.02).fit((features - mean) / deviation, labels[:1000])
    made["head"] = head.coef_ / deviation
    made["head_bias"] = head.intercept_ - made["head"] @ mean
    return made


def net(w: Weights) -> bytes:
    """conv → (depthwise → pointwise) twice, the second around a residual ADD → max pool → fully connected → softmax."""
    builder = NetBuilder()

    def conv(kind: str, name: str, x: int, padding: int, **more: Any) -> int:
        ends = [x, builder.constant(w[name]), builder.constant(w[f"{name}_bias"])]
        options = {**_ONE, "padding": padding, "fusedActivationFunction": RELU, **more}
        return builder.op(kind, ends, (1, 8, 8, CHANNELS), name=name, **options)

    x = conv("CONV_2D", "conv", builder.input((1, 8, 8, 1), name="image"), SAME)
    joined = x
    for block in range(2):
        joined = x
        x = conv("DEPTHWISE_CONV_2D", f"depthwise{block}", x, SAME, depthMultiplier=1)
        x = conv("CONV_2D", f"pointwise{block}", x, VALID)
    x = builder.op("ADD", [x, joined], (1, 8, 8, CHANNELS), name="join")
    pool = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "padding": VALID}
    x = builder.op("MAX_POOL_2D", [x], (1, 4, 4, CHANNELS), name="pool", **pool)
    flat = 16 * CHANNELS
    x = builder.op(
        "RESHAPE", [x, builder.constant(np.array([1, flat], np.int32))], (1, flat), name="flat", newShape=[1, flat]
    )
    if "head" in w:
        x = builder.op(
            "FULLY_CONNECTED",
            [x, builder.constant(w["head"]), builder.constant(w["head_bias"])],
            (1, 10),
            name="logits",
        )
        x = builder.op("SOFTMAX", [x], (1, 10), name="scores", beta=1.0)
    return builder.finish([x])


def _features(model: Model, images: np.ndarray) -> np.ndarray:
    from edgeq.quantize.calibration import FloatRunner

    runner = FloatRunner(model)
    return np.stack([runner.run([image[None]])[0][0] for image in images])


@lru_cache(maxsize=1)
def digits_model() -> Model:
    """The network in float."""
    return float_model(weights())


def float_model(w: Weights) -> Model:
    """A network with other weights."""
    return plain_float(net(w), name="digits", source="digits.tflite", kind="tflite")


def data(model: Model, first: int = 1000, count: int = 40) -> Dataset:
    """Digits that trained nothing."""
    return load_data(digits()[0][first : first + count], model)


def ranges_of(model: Model, dataset: Dataset) -> Mapping[int, Range]:
    """Of every activation, by minimum and maximum."""
    return calibrate(model, dataset, METHOD, silent)


# How faults are planted: in the ranges, in the float model without changing its function, or in the finished file.


def scaled_range(factor: float) -> Callable[..., Spoiled]:
    def plant(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
        end = model.graph.ops[layer].outputs[0]
        own = ranges[end]
        return model, quantize(model, {**ranges, end: Range(own.low * factor, own.high * factor)})

    return plant


def in_file(spoil: Callable[[Any, Any, Graph, Op, np.random.Generator], None]) -> Callable[..., Spoiled]:
    """A fault in the finished file: `spoil` gets the file's objects, its tensor list, and the quantized operator."""

    def plant(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
        made = quantize(model, ranges)
        graph = tflite.parse(made)
        name = model.graph.output_of(model.graph.ops[layer]).name
        op = next(op for op in graph.ops if graph.output_of(op).name == name)
        whole = unpack(made)
        spoil(whole, whole.subgraphs[0].tensors, graph, op, rng)
        return model, pack(whole)

    return plant


def _set(whole: Any, tensor: Any, values: np.ndarray) -> None:
    tensor.buffer = constant_buffer(whole, values)


def noise(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """A third of the weights are anything."""
    index = op.inputs[1]
    values = np.array(graph.tensors[index].data)
    hit = rng.random(values.shape) < 0.33
    values[hit] = rng.integers(-127, 128, int(hit.sum()))
    _set(whole, tensors[index], values)


def wrong_weight_scale(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """All scales of the weights half too large; the bias keeps its integers' meaning."""
    tensors[op.inputs[1]].quantization.scale = np.array(tensors[op.inputs[1]].quantization.scale) * 1.5
    bias = graph.tensors[op.inputs[2]]
    _set(whole, tensors[op.inputs[2]], np.round(np.array(bias.data) / 1.5).astype(np.int32))


def one_channels_scale(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """One channel's scale is several times too large."""
    scale = np.array(tensors[op.inputs[1]].quantization.scale, np.float32)
    scale[_lively(graph, op)] *= 6.0
    tensors[op.inputs[1]].quantization.scale = scale


def _lively(graph: Graph, op: Op) -> int:
    """The channel with the largest weights."""
    scale = graph.tensors[op.inputs[1]].quant
    assert scale is not None
    return int(np.argmax(scale.scale))


def wrong_bias(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """The bias of half of the channels belongs to others."""
    values = np.array(graph.tensors[op.inputs[2]].data)
    _set(whole, tensors[op.inputs[2]], (np.roll(values, 3) + 2 * np.abs(values).max()).astype(np.int32))


def shifted_zero_point(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """Half of the range lies where no values are."""
    quantization = tensors[op.outputs[0]].quantization
    quantization.zeroPoint = [int(quantization.zeroPoint[0]) + 150 if quantization.zeroPoint[0] < 0 else -100]


def per_tensor(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """One scale for all channels, as old converters make it."""
    tensor = graph.tensors[op.inputs[1]]
    assert tensor.quant is not None
    axis = [1] * len(tensor.shape)
    axis[tensor.quant.quantized_dimension] = -1
    old = tensor.quant.scale
    real = np.array(tensor.data, np.float64) * old.reshape(axis)
    scale = np.abs(real).max() / 127
    _set(whole, tensors[tensor.index], np.clip(np.round(real / scale), -127, 127).astype(np.int8))
    # The same scale for each channel: the kernels want as many as there are channels.
    tensors[tensor.index].quantization.scale = [float(scale)]
    tensors[tensor.index].quantization.zeroPoint = [0]
    tensors[tensor.index].quantization.quantizedDimension = 0
    bias = np.array(graph.tensors[op.inputs[2]].data, np.float64) * old / scale
    _set(whole, tensors[op.inputs[2]], np.round(bias).astype(np.int32))
    tensors[op.inputs[2]].quantization = schema.QuantizationParametersT()


def uneven_channel(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
    """A depthwise channel scaled up by 40 and the next layer's weights down: the float function stays."""
    changed, made = _rescaled(layer, 40.0, rng)
    return changed, quantize(changed, made)


def per_tensor_depthwise(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
    """Most channels of a depthwise layer scaled down, and then one scale for all of them."""
    return in_file(per_tensor)(*_rescaled(layer, 30.0, rng, all_but_one=True), layer, rng)


def _rescaled(
    layer: int, factor: float, rng: np.random.Generator, *, all_but_one: bool = False
) -> tuple[Model, Mapping[int, Range]]:
    w = dict(weights())
    name = digits_model().graph.output_of(digits_model().graph.ops[layer]).name
    after = name.replace("depthwise", "pointwise")
    steps = np.ones(CHANNELS)
    chosen = int(np.argmax(np.abs(w[name]).max(axis=(0, 1, 2))))
    steps[chosen] = factor
    if all_but_one:
        steps = steps / factor
    w[name], w[f"{name}_bias"] = w[name] * steps, w[f"{name}_bias"] * steps
    w[after] = w[after] / steps
    changed = float_model(w)
    return changed, ranges_of(changed, data(changed, 0, 400))


def bias_overflow(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
    """Channels that are all bias: their weights' scale is so small that the bias doesn't fit into 32 bits."""
    w = dict(weights())
    name = model.graph.output_of(model.graph.ops[layer]).name
    axis = 3 if name.startswith("depthwise") else 0
    chosen = rng.permutation(CHANNELS)[:6]
    tiny = np.ones(CHANNELS)
    tiny[chosen] = 1e-9
    shape = [1, 1, 1, 1]
    shape[axis] = CHANNELS
    w[name] = w[name] * tiny.reshape(shape)
    w[f"{name}_bias"] = w[f"{name}_bias"].copy()
    w[f"{name}_bias"][chosen] = 1.5
    changed = float_model(w)

    def saturate(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
        floats = changed.graph.tensors[changed.graph.ops[layer].inputs[1]].data
        assert floats is not None
        widths = np.abs(np.moveaxis(floats, axis, 0).reshape(CHANNELS, -1)).max(axis=1).astype(np.float64)
        scale = widths / 127
        source = graph.tensors[op.inputs[0]].quant
        assert source is not None
        stored = np.round(floats / scale.reshape(shape)).astype(np.int8)
        steps = w[f"{name}_bias"] / (float(source.scale[0]) * scale)
        _set(whole, tensors[op.inputs[1]], stored)
        tensors[op.inputs[1]].quantization.scale = scale.astype(np.float32)
        _set(whole, tensors[op.inputs[2]], np.clip(np.round(steps), -(2**31), 2**31 - 1).astype(np.int32))
        tensors[op.inputs[2]].quantization = schema.QuantizationParametersT()

    return in_file(saturate)(changed, ranges_of(changed, data(changed, 0, 400)), layer, rng)


def few_bits(model: Model, ranges: Mapping[int, Range], layer: int, rng: np.random.Generator) -> Spoiled:
    """Four bits for the weights of one layer."""
    return model, quantize(model, ranges, per_layer={layer: "static_wi4_ai8"})


def wrong_view(whole: Any, tensors: Any, graph: Graph, op: Op, rng: np.random.Generator) -> None:
    """A RESHAPE whose output claims another scale than its input."""
    tensors[op.outputs[0]].quantization.scale = [float(tensors[op.outputs[0]].quantization.scale[0]) * 2]


def _weighted(graph: Graph, op: Op) -> bool:
    return op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def _convolution(graph: Graph, op: Op) -> bool:
    return op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")


def _ranged(graph: Graph, op: Op) -> bool:
    return _weighted(graph, op) or op.kind == "ADD"


def _free(graph: Graph, op: Op) -> bool:
    """Its output's parameters may be anything: no operator behind it must have the same."""
    readers = [reader.kind for reader in graph.ops if op.outputs[0] in reader.inputs]
    return _weighted(graph, op) and not any("POOL" in kind for kind in readers)


def _depthwise(graph: Graph, op: Op) -> bool:
    return op.kind == "DEPTHWISE_CONV_2D"


def _dense(graph: Graph, op: Op) -> bool:
    return op.kind in ("CONV_2D", "FULLY_CONNECTED") and graph.tensors[op.inputs[1]].elements > 200


FAULTS = (
    Fault("range-20-times-too-wide", ("range-too-wide",), scaled_range(20.0), _ranged),
    Fault("range-a-quarter", ("range-clipped",), scaled_range(0.25), _ranged),
    Fault("noise-on-weights", ("weights-differ",), in_file(noise), _weighted),
    Fault("scale-of-weights", ("weight-scale",), in_file(wrong_weight_scale), _convolution),
    Fault("scale-of-one-channel", ("weight-scale",), in_file(one_channels_scale), _convolution),
    Fault("bias-of-others", ("bias-wrong",), in_file(wrong_bias), _weighted),
    Fault("bias-too-large", ("bias-overflow",), bias_overflow, _convolution),
    Fault("zero-point", ("range-clipped",), in_file(shifted_zero_point), _free),
    Fault("one-wide-channel", ("uneven-channels",), uneven_channel, _depthwise),
    Fault("one-scale-for-all-channels", ("per-tensor-weights",), per_tensor_depthwise, _depthwise),
    Fault("four-bits", ("few-bits",), few_bits, _dense),
    Fault("scale-of-a-view", ("output-scale",), in_file(wrong_view), lambda graph, op: op.kind == "RESHAPE"),
)
