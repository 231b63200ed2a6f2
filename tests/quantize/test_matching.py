"""Graphs that were converted differently: fused, renamed, folded, with conversions in between, in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import RELU, SAME, VALID, NetBuilder

from edgeq import tflite
from edgeq.graph import Graph
from edgeq.quantize.sensitivity import Matching, match

SIZE = (1, 4, 4, 3)
OPTIONS = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
QUANT = (0.1, 0)


def conv(net: NetBuilder, x: int, seed: int, name: str, activation: int = 0, **more: Any) -> int:
    values = np.random.default_rng(seed).normal(0, 0.3, (3, 3, 3, 3))
    ends = [x, net.constant(values), net.constant(np.zeros(3))]
    return net.op("CONV_2D", ends, SIZE, name=name, fusedActivationFunction=activation, padding=SAME, **OPTIONS, **more)


def int_conv(net: NetBuilder, x: int, seed: int, name: str, activation: int = 0, padding: int = SAME) -> int:
    values = np.random.default_rng(seed).normal(0, 0.3, (3, 3, 3, 3))
    scale = np.abs(values).max() / 127
    weights = net.constant(np.round(values / scale), "int8", quant=(scale, 0))
    bias = net.constant(np.zeros(3), "int32", quant=(scale * 0.1, 0))
    options = {"fusedActivationFunction": activation, "padding": padding, **OPTIONS}
    return net.op("CONV_2D", [x, weights, bias], SIZE, "int8", name=name, quant=QUANT, version=3, **options)


def parsed(net: NetBuilder, outputs: list[int]) -> Graph:
    return tflite.parse(net.finish(outputs))


def pairs(found: Matching, floating: Graph, quantized: Graph) -> dict[str, str]:
    """Name of the quantized tensor → name of its float counterpart, of what operators give."""
    made = {t for op in quantized.ops for t in op.outputs}
    return {quantized.tensors[q].name: floating.tensors[f].name for q, f in found.tensors.items() if q in made}


def test_names_mean_nothing_where_structure_tells() -> None:
    net = NetBuilder()
    x = net.input(SIZE, name="x")
    a, b = conv(net, x, 1, "a"), conv(net, x, 2, "b")
    floating = parsed(net, [net.op("ADD", [a, b], SIZE, name="sum")])
    net = NetBuilder()
    x = net.input(SIZE, "int8", name="x", quant=QUANT)
    # The other order, and misleading names: weights decide.
    second, first = int_conv(net, x, 2, "a"), int_conv(net, x, 1, "b")
    quantized = parsed(net, [net.op("ADD", [second, first], SIZE, "int8", name="out", quant=QUANT)])
    found = match(floating, quantized)
    assert pairs(found, floating, quantized) == {"a": "b", "b": "a", "out": "sum"}
    assert found.unmatched == ()


@pytest.mark.parametrize("apart", ["float", "quantized", "range"])
def test_an_activation_may_be_inside_or_follow(apart: str) -> None:
    """In the quantized model it may also be nothing but the range of the output."""
    net = NetBuilder()
    x = conv(net, net.input(SIZE, name="x"), 1, "conv", 0 if apart == "float" else RELU)
    if apart == "float":
        x = net.op("RELU", [x], SIZE, name="relu")
    floating = parsed(net, [conv(net, x, 2, "last")])
    net = NetBuilder()
    x = int_conv(net, net.input(SIZE, "int8", name="x", quant=QUANT), 1, "q1", RELU if apart == "float" else 0)
    if apart == "quantized":
        x = net.op("RELU", [x], SIZE, "int8", name="q1relu", quant=QUANT)
    quantized = parsed(net, [int_conv(net, x, 2, "q2")])
    found = match(floating, quantized)
    wanted = {
        "float": {"q1": "relu", "q2": "last"},
        "quantized": {"q1relu": "conv", "q2": "last"},
        "range": {"q1": "conv", "q2": "last"},
    }[apart]
    assert pairs(found, floating, quantized) == wanted
    assert found.unmatched == () and len(found.layers) == 2
    first = found.layers[0]
    assert len(first.parts) == (2 if apart == "quantized" else 1)
    assert len(first.group) == (2 if apart == "float" else 1)
    assert quantized.ops[first.op].kind == "CONV_2D"


def test_batch_norm_and_padding_are_found_inside_the_convolution() -> None:
    net = NetBuilder()
    x = net.input((1, 2, 2, 3), name="x")
    x = net.op("PAD", [x, net.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))], SIZE, name="pad")
    x = conv(net, x, 1, "conv")
    x = net.op("MUL", [x, net.constant(np.ones(3))], SIZE, name="scaled")
    x = net.op("ADD", [x, net.constant(np.ones(3))], SIZE, name="shifted")
    x = net.op("RELU", [x], SIZE, name="relu")
    floating = parsed(net, [conv(net, x, 2, "last")])
    net = NetBuilder()
    x = int_conv(net, net.input((1, 2, 2, 3), "int8", name="x", quant=QUANT), 1, "q1", RELU)
    quantized = parsed(net, [int_conv(net, x, 2, "q2")])
    found = match(floating, quantized)
    assert pairs(found, floating, quantized) == {"q1": "relu", "q2": "last"}
    assert [floating.ops[i].kind for i in found.layers[0].group] == ["PAD", "CONV_2D", "MUL", "ADD", "RELU"]


def test_conversions_and_reshapes_stand_for_what_they_are_given() -> None:
    net = NetBuilder()
    x = conv(net, net.input(SIZE, name="x"), 1, "conv")
    x = net.op("RESHAPE", [x, net.constant(np.array([1, 48], np.int32))], (1, 48), name="flat", newShape=[1, 48])
    weights = np.random.default_rng(5).normal(0, 0.1, (7, 48))
    floating = parsed(net, [net.op("FULLY_CONNECTED", [x, net.constant(weights), -1], (1, 7), name="fc")])
    net = NetBuilder()
    x = net.input(SIZE, name="x")
    x = net.op("QUANTIZE", [x], SIZE, "int8", name="x_int8", quant=QUANT)
    x = int_conv(net, x, 1, "q1")
    x = net.op("QUANTIZE", [x], SIZE, "int8", name="again", quant=(0.3, 4))
    constant = net.constant(np.round(weights * 300), "int8", quant=(1 / 300, 0))
    x = net.op("FULLY_CONNECTED", [x, constant, -1], (1, 7), "int8", name="q2", quant=QUANT)
    quantized = parsed(net, [net.op("DEQUANTIZE", [x], (1, 7), name="y")])
    found = match(floating, quantized)
    assert pairs(found, floating, quantized) == {"x_int8": "x", "q1": "conv", "again": "conv", "q2": "fc", "y": "fc"}
    kinds = [quantized.ops[layer.op].kind for layer in found.layers]
    assert kinds == ["QUANTIZE", "CONV_2D", "QUANTIZE", "FULLY_CONNECTED"]
    assert [len(layer.group) for layer in found.layers] == [0, 1, 0, 2]


def test_what_isnt_in_the_float_model_is_said_and_names_help_behind_it() -> None:
    net = NetBuilder()
    x = conv(net, net.input(SIZE, name="x"), 1, "conv")
    floating = parsed(net, [conv(net, x, 2, "last")])
    net = NetBuilder()
    x = int_conv(net, net.input(SIZE, "int8", name="x", quant=QUANT), 1, "conv")
    x = net.op("MIRROR_PAD", [x, net.constant(np.zeros((4, 2), np.int32))], SIZE, "int8", name="odd", quant=QUANT)
    quantized = parsed(net, [int_conv(net, x, 2, "last_int8")])
    found = match(floating, quantized)
    assert [quantized.ops[i].kind for i in found.unmatched] == ["MIRROR_PAD"]
    assert pairs(found, floating, quantized)["last_int8"] == "last"


def test_a_mean_may_be_a_pool() -> None:
    net = NetBuilder()
    x = conv(net, net.input(SIZE, name="x"), 1, "conv")
    pool = {"strideW": 4, "strideH": 4, "filterWidth": 4, "filterHeight": 4, "padding": VALID}
    floating = parsed(net, [net.op("AVERAGE_POOL_2D", [x], (1, 1, 1, 3), name="pool", **pool)])
    net = NetBuilder()
    x = int_conv(net, net.input(SIZE, "int8", name="x", quant=QUANT), 1, "q1")
    axes = net.constant(np.array([1, 2], np.int32))
    quantized = parsed(net, [net.op("MEAN", [x, axes], (1, 3), "int8", name="mean", quant=QUANT, keepDims=False)])
    assert pairs(match(floating, quantized), floating, quantized) == {"q1": "conv", "mean": "pool"}
