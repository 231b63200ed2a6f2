"""Rounding in TensorFlow against the integer arithmetic that kernels are generated from, and range groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.kernels import arithmetic
from edgeq.training.network import Network, Node
from edgeq.training.ranges import Bits, groups_of

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=50),
    st.floats(1e-9, 0.9),
)
def test_sums_are_rescaled_as_the_kernels_do(sums: list[int], factor: float) -> None:
    from edgeq.training.integers import rescaled

    multiplier = arithmetic.quantize_multiplier(factor)
    expected = [arithmetic.requantized(total, multiplier) for total in sums]
    got = rescaled(np.array(sums, np.float64), np.float64(factor))
    assert np.asarray(got).astype(np.int64).tolist() == expected


@settings(deadline=None, max_examples=30)
@given(st.floats(-50, 0, width=32), st.floats(0, 50, width=32).filter(lambda v: v > 1e-3), st.integers(0, 2**32 - 1))
def test_values_are_quantized_as_the_file_stores_them(low: float, high: float, seed: int) -> None:
    from edgeq.quantize.absorb import affine
    from edgeq.training.integers import activation_parameters, quantize

    parameters = activation_parameters(np.float32(low), np.float32(high), 8)
    scale, zero = affine(low, high)
    assert float(parameters.scale) == pytest.approx(scale, rel=1e-6) and float(parameters.zero) == zero
    values = np.random.default_rng(seed).uniform(low - 1, high + 1, 100).astype(np.float32)
    q = np.asarray(quantize(values, parameters).n) + zero
    ratio = values / np.float32(parameters.scale)
    stored = np.clip(np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + zero, -128, 127)
    np.testing.assert_array_equal(q, stored)


def test_gradients_pass_inside_a_range_and_stop_outside() -> None:
    import tensorflow as tf

    from edgeq.training.integers import activation_parameters, quantize

    x = tf.constant([-3.0, -0.5, 0.5, 3.0])
    low, high = tf.Variable(-1.0), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(quantize(x, activation_parameters(low, high, 8)).real)
    gradients: Any = tape.gradient(total, [x, low, high])
    assert gradients[0].numpy().tolist() == [0.0, 1.0, 1.0, 0.0]
    # What is clipped above moves with the upper end (PACT), up to the rounding inside.
    assert float(gradients[2]) == pytest.approx(0.0, abs=0.05)  # -3 and 3 pull the symmetric ends against each other
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(quantize(tf.constant([3.0]), activation_parameters(tf.constant(0.0), high, 8)).real)
    assert float(tape.gradient(total, high)) == pytest.approx(1.0)


def network(*nodes: Node) -> Network:
    return Network("n", nodes, ("x",), (nodes[-1].name,), ("x",), ("out",))


def test_tensors_share_ranges_where_the_runtime_wants_it() -> None:
    x = Node("x", "INPUT", (), (4, 4, 2))
    a = Node("a", "CONV_2D", ("x",), (4, 4, 2), {"fused": "RELU"})
    b = Node("b", "CONV_2D", ("x",), (4, 4, 2))
    gate = Node("gate", "LOGISTIC", ("b",), (4, 4, 2))
    pooled = Node("pooled", "MAX_POOL_2D", ("a",), (4, 4, 2))
    joined = Node("joined", "CONCATENATION", ("pooled", "b", "gate"), (4, 4, 6))
    groups = groups_of(network(x, a, b, gate, pooled, joined), Bits())
    assert groups["a"] is groups["pooled"] is groups["joined"] is groups["b"] is not groups["x"]
    assert not groups["a"].never_negative  # b is in it
    assert groups["gate"].fixed is not None and groups["gate"].fixed.scale == 1 / 256
    alone = groups_of(network(x, a, pooled), Bits())
    assert alone["pooled"].never_negative and alone["pooled"].members == ("a", "pooled")


def test_depthwise_weights_keep_8_bits() -> None:
    bits = Bits(weights=4)
    assert bits.of_weights(Node("d", "DEPTHWISE_CONV_2D", ("x",), (1,))) == 8
    assert bits.of_weights(Node("c", "CONV_2D", ("x",), (1,))) == 4
