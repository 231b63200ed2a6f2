"""Networks with planted constant channels: they go, and not one output byte changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from conformance.machine import HostMachine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes

from edgeq.graph import Graph
from edgeq.kernels.macs import total_macs
from edgeq.optimize import channel_ranges, remove_constant_channels
from edgeq.reference import Reference
from edgeq.tflite import parse, read

_CONV = {"padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1}


@dataclass(frozen=True)
class Net:
    """What a network is drawn from."""

    seed: int
    side: int
    channels: tuple[int, int, int]
    dead: float
    zero: int
    activation: str
    stride: int
    pooled: bool


nets = st.builds(
    Net,
    seed=st.integers(0, 10_000),
    side=st.integers(3, 7),
    channels=st.tuples(st.integers(1, 17), st.integers(1, 17), st.integers(1, 9)),
    dead=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    zero=st.sampled_from([-128, -128, 3, 127]),
    activation=st.sampled_from(["RELU", "NONE", "RELU6"]),
    stride=st.sampled_from([1, 2]),
    pooled=st.booleans(),
)


@pytest.fixture(scope="module")
def host() -> Iterator[HostMachine]:
    yield HostMachine()


def _weights(rng: np.random.Generator, net: Net, shape: tuple[int, ...], axis: int) -> tuple[T, T, np.ndarray]:
    """Weights and bias in which a share of the output channels always gives the same byte, whatever the input."""
    channels = shape[axis]
    dead = rng.random(channels) < net.dead
    values = rng.integers(-127, 128, shape).astype(np.int8)
    # 2**29 * 1e-8 is five output steps off the zero point, 2**29 * 1e-10 is none.
    scales = np.where(dead, rng.choice([1e-8, 1e-10], channels), 0.002).astype(np.float32)
    bias = np.where(dead, rng.choice([-1, 1], channels) * (1 << 29), rng.integers(-3000, 3000, channels))
    weights = T(shape, scale=scales.tolist(), zero_point=[0] * channels, axis=axis, data=values)
    return weights, T((channels,), "INT32", data=bias.astype(np.int32)), dead


def build(net: Net) -> bytes:
    """CONV_2D → DEPTHWISE_CONV_2D → 1x1 CONV_2D (→ AVERAGE_POOL_2D) → RESHAPE → FULLY_CONNECTED."""
    rng = np.random.default_rng(net.seed)
    a, b, c = net.channels
    side, small = net.side, -(-net.side // net.stride)
    last = 1 if net.pooled else small
    act = {"scale": 0.05, "zero_point": net.zero}
    fused = {"fused_activation_function": net.activation}
    w0, b0, _ = _weights(rng, net, (a, 3, 3, 2), 0)
    w1, b1, _ = _weights(rng, net, (1, 3, 3, a), 3)
    w2, b2, _ = _weights(rng, net, (b, 1, 1, a), 0)
    dense = T((c, last * last * b), scale=0.01, data=rng.integers(-127, 128, (c, last * last * b)))
    tensors = [
        T((1, side, side, 2), scale=0.05, zero_point=int(rng.integers(-128, 128))),
        w0,
        b0,
        T((1, small, small, a), **act),
        w1,
        b1,
        T((1, small, small, a), **act),
        w2,
        b2,
        T((1, small, small, b), **act),
        T((1, last, last, b), **act),
        T((2,), "INT32", data=[1, last * last * b]),
        T((1, last * last * b), **act),
        dense,
        T((c,), "INT32", data=rng.integers(-500, 500, c)),
        T((1, c), scale=0.2, zero_point=5),
    ]
    strided = {**_CONV, "stride_w": net.stride, "stride_h": net.stride}
    pool = {"padding": "VALID", "stride_w": 1, "stride_h": 1, "filter_width": small, "filter_height": small}
    middle = [O("AVERAGE_POOL_2D", [9], [10], pool, 2)] if net.pooled else []
    operators = [
        O("CONV_2D", [0, 1, 2], [3], {**strided, **fused}, 3),
        O("DEPTHWISE_CONV_2D", [3, 4, 5], [6], {**_CONV, **fused, "depth_multiplier": 1}, 3),
        O("CONV_2D", [6, 7, 8], [9], {**_CONV, **fused}, 3),
        *middle,
        O("RESHAPE", [10 if net.pooled else 9, 11], [12], {"new_shape": [1, last * last * b]}),
        O("FULLY_CONNECTED", [12, 13, 14], [15], {}, 4),
    ]
    return model_bytes(tensors, operators, [0], [15])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(net=nets)
def test_no_output_byte_changes(host: HostMachine, net: Net) -> None:
    data = build(net)
    graph = parse(data)
    reference = Reference(data, graph)
    model = host.load(graph)
    rng = np.random.default_rng(net.seed + 1)
    shape = graph.tensors[0].shape
    samples = [np.full(shape, v, np.int8) for v in (-128, 127)] + [
        rng.integers(-128, 128, shape).astype(np.int8) for _ in range(4)
    ]
    for x in samples:
        (wanted,), (got,) = reference.run([x]), model.run([x])
        assert got.tobytes() == wanted.tobytes()
    model.close()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(net=nets)
def test_no_value_leaves_its_interval(net: Net) -> None:
    data = build(net)
    graph = parse(data)
    found = channel_ranges(graph)
    rng = np.random.default_rng(net.seed)
    x = rng.integers(-128, 128, graph.tensors[0].shape).astype(np.int8)
    (y,) = Reference(data, graph).run([x])
    out = found[graph.outputs[0]]
    assert np.all(y.reshape(-1) >= out.low) and np.all(y.reshape(-1) <= out.high)


def _planted(zero: int, dead: float = 0.7, activation: str = "RELU") -> Graph:
    net = Net(seed=3, side=6, channels=(16, 16, 4), dead=dead, zero=zero, activation=activation, stride=1, pooled=True)
    return parse(build(net))


def test_planted_constants_go_in_fours() -> None:
    graph = _planted(-128)
    removal = remove_constant_channels(graph)
    assert total_macs(removal.graph) < total_macs(graph) / 2
    for index, count in removal.channels.items():
        assert removal.graph.tensors[index].shape[-1] == graph.tensors[index].shape[-1] - count
        assert removal.graph.tensors[index].shape[-1] % 4 == 0
    assert [t.shape for t in map(removal.graph.tensor, removal.graph.outputs)] == [(1, 4)]
    assert len(removal.graph.ops) == len(graph.ops)


def test_nothing_constant_nothing_changed() -> None:
    graph = _planted(-128, dead=0.0)
    removal = remove_constant_channels(graph)
    assert removal.graph is graph and not removal.channels


def test_the_given_graph_stays_as_it_was() -> None:
    graph = _planted(-128)
    before = [(t.shape, None if t.data is None else t.data.tobytes()) for t in graph.tensors]
    remove_constant_channels(graph)
    assert before == [(t.shape, None if t.data is None else t.data.tobytes()) for t in graph.tensors]


def test_a_constant_other_than_padding_is_kept_where_padding_is_read() -> None:
    """The depthwise convolution reads zero points at its border: a channel five steps off isn't constant behind it."""
    graph = _planted(3, activation="NONE")
    found = channel_ranges(graph)
    first, behind = graph.ops[0].outputs[0], graph.ops[1].outputs[0]
    off = found[first].constant & (found[first].low != 3)
    assert off.any()
    own = graph.tensors[graph.ops[1].inputs[1]]
    assert own.quant is not None
    live = own.quant.scale > 1e-6  # its own planted constants are constant whatever it reads
    assert (off & live).any() and not found[behind].constant[off & live].any()


@pytest.mark.shared
def test_half_of_the_person_detector_is_constant(shared) -> None:  # type: ignore[no-untyped-def]
    graph = read(shared / "mlperf_tiny" / "vww_int8.tflite")
    removal = remove_constant_channels(graph)
    assert (total_macs(graph), total_macs(removal.graph)) == (7_489_664, 3_992_016)
    for name in ("kws", "ic", "ad"):
        graph = read(shared / "mlperf_tiny" / f"{name}_int8.tflite")
        assert remove_constant_channels(graph).graph is graph
