"""Repairs: what leaves the float network's function alone, and what the others gain."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from digits_network import trained
from hypothesis import given, settings
from hypothesis import strategies as st
from models import RELU, RELU6, SAME, VALID, NetBuilder, digits

from edgeq import registry
from edgeq.errors import UsageError
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import SCHEMES, convert, load_data
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.repairs import Repair, Setting
from edgeq.quantize.repairs.channels import channels
from edgeq.quantize.repairs.moments import moments
from edgeq.quantize.repairs.network import layers, rows_seen
from edgeq.quantize.repairs.rounding import round_rows
from edgeq.quantize.repairs.weights import levels, nearest, scales

NONE = 0
EXACT = ("batch-norm", "cle", "activation-equalization")


def repair(name: str) -> Repair:
    return cast(Repair, registry.load(registry.REPAIRS, name, "repair"))


def setting(model: Model, samples: np.ndarray, scheme: str = "static_wi8_ai8") -> Setting:
    return Setting(load_data(samples, model), SCHEMES[scheme], {})


def random_network(seed: int) -> tuple[Model, np.ndarray]:
    """Convolutions of all kinds, joins, constants, pooling, in random order, with channels of uneven width."""
    rng = np.random.default_rng(seed)
    net = NetBuilder()
    size, count = int(rng.integers(4, 9)), int(rng.integers(2, 6))
    x = net.input((1, size, size, count), name="x")
    plain = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}

    def activation() -> int:
        return int(rng.choice([NONE, RELU, RELU, RELU6]))

    def conv(x: int, into: int, out: int, width: int = 1) -> int:
        kernel = rng.normal(0, 1, (out, width, width, into)) * np.exp2(rng.integers(-4, 5, (out, 1, 1, 1)))
        ends = [x, net.constant(kernel), net.constant(rng.normal(0, 1, out))]
        shape = (1, size, size, out)
        return net.op("CONV_2D", ends, shape, **plain, padding=SAME, fusedActivationFunction=activation())

    for _ in range(int(rng.integers(2, 6))):
        kind = rng.choice(["conv", "depthwise", "add", "concat", "batch-norm", "pool", "relu", "pad", "logistic"])
        shape = (1, size, size, count)
        if kind == "conv":
            out = int(rng.integers(2, 7))
            x, count = conv(x, count, out, int(rng.choice([1, 3]))), out
        elif kind == "depthwise":
            kernel = rng.normal(0, 1, (1, 3, 3, count)) * np.exp2(rng.integers(-4, 5, count))
            ends = [x, net.constant(kernel), net.constant(rng.normal(0, 1, count))]
            options = {**plain, "padding": SAME, "depthMultiplier": 1, "fusedActivationFunction": activation()}
            x = net.op("DEPTHWISE_CONV_2D", ends, shape, **options)
        elif kind == "add":
            x = net.op("ADD", [x, conv(x, count, count)], shape, fusedActivationFunction=activation())
        elif kind == "concat":
            x = net.op("CONCATENATION", [x, conv(x, count, 3)], (1, size, size, count + 3), axis=3)
            count += 3
        elif kind == "batch-norm":
            x = conv(x, count, count)
            x = net.op("MUL", [x, net.constant(rng.uniform(0.2, 3, count))], shape)
            x = net.op("ADD", [x, net.constant(rng.normal(0, 1, count))], shape, fusedActivationFunction=activation())
        elif kind == "pool":
            options = {"strideW": 1, "strideH": 1, "filterWidth": 2, "filterHeight": 2, "padding": SAME}
            x = net.op(str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])), [x], shape, **options)
        elif kind == "relu":
            x = net.op("RELU", [x], shape)
        elif kind == "pad":
            x = net.op("PAD", [x, net.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))],
                       (1, size + 1, size + 1, count))  # fmt: skip
            size += 1
        else:
            x = net.op("LOGISTIC", [x], shape)
    if rng.random() < 0.5:
        flat = size * size * count
        x = net.op("RESHAPE", [x, net.constant(np.array([1, flat], np.int32))], (1, flat), newShape=[1, flat])
        x = net.op("FULLY_CONNECTED", [x, net.constant(rng.normal(0, 1, (4, flat)))], (1, 4))
    data = net.finish([x])
    samples = rng.normal(0, 1, (6, *[int(d) for d in net.graph.tensors[net.graph.inputs[0]].shape[1:]]))
    return plain_float(data, name="random", source="", kind="tflite"), samples.astype(np.float32)


def outputs(model: Model, samples: np.ndarray) -> np.ndarray:
    runner = FloatRunner(model)
    return np.stack([runner.run([s[None]])[0] for s in samples])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_exact_repairs_leave_the_function_alone(seed: int) -> None:
    model, samples = random_network(seed)
    wanted = outputs(model, samples)
    for name in EXACT:
        assert repair(name).exact
        repaired = repair(name).apply(model, setting(model, samples))
        assert repaired.inputs == model.inputs and len(repaired.graph.outputs) == 1
        np.testing.assert_allclose(outputs(repaired, samples), wanted, rtol=2e-4, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["cle", "activation-equalization"])
def test_equalization_brings_channels_to_one_width(name: str) -> None:
    samples = digits()[0][:60]
    even, uneven = trained().model(), trained().uneven(5).model()
    repaired = repair(name).apply(uneven, setting(uneven, samples))
    np.testing.assert_allclose(outputs(repaired, samples[:10]), outputs(even, samples[:10]), rtol=1e-3, atol=1e-3)
    assert _spread(repaired, samples) < _spread(uneven, samples) / 16
    assert _spread(repaired, samples) < 2 * _spread(even, samples)


def _spread(model: Model, samples: np.ndarray) -> float:
    """How many times wider the widest channel is than the median one, in the worst layer."""
    runner = FloatRunner(model, keep_all=True)
    worst = []
    for layer in layers(model.graph)[:-1]:
        seen = []
        for sample in samples:
            runner.run([sample[None]])
            values = runner.tensor(layer.output.index)
            assert values is not None
            seen.append(np.abs(values).reshape(-1, layer.outputs).max(axis=0))
        width = np.max(seen, axis=0)
        worst.append(float(width.max() / np.median(width[width > 0])))
    return max(worst)


def test_relu6_and_the_ends_are_not_rescaled() -> None:
    model, _ = random_network(0)
    net = NetBuilder()
    x = net.input((1, 4, 4, 3), name="x")
    rng = np.random.default_rng(0)
    options = {"strideW": 1, "strideH": 1, "padding": SAME, "dilationWFactor": 1, "dilationHFactor": 1}
    for place, activation in enumerate((RELU6, RELU, NONE)):
        ends = [x, net.constant(rng.normal(0, 1, (3, 1, 1, 3))), net.constant(rng.normal(0, 1, 3))]
        x = net.op("CONV_2D", ends, (1, 4, 4, 3), name=f"c{place}", fusedActivationFunction=activation, **options)
    model = plain_float(net.finish([x]), name="n", source="", kind="tflite")
    found = channels(model.graph)
    free = {t.name: bool(found.of_tensor[t.index].all()) for t in model.graph.tensors if t.index in found.of_tensor}
    assert free == {"x": False, "c0": False, "c1": True, "c2": False}


def test_residual_joins_share_their_factors() -> None:
    net = NetBuilder()
    x = net.input((1, 4, 4, 3), name="x")
    rng = np.random.default_rng(0)
    options = {"strideW": 1, "strideH": 1, "padding": SAME, "dilationWFactor": 1, "dilationHFactor": 1}

    def conv(x: int, name: str) -> int:
        ends = [x, net.constant(rng.normal(0, 1, (3, 1, 1, 3))), net.constant(rng.normal(0, 1, 3))]
        return net.op("CONV_2D", ends, (1, 4, 4, 3), name=name, fusedActivationFunction=RELU, **options)

    a = conv(x, "a")
    total = net.op("ADD", [a, conv(a, "b")], (1, 4, 4, 3), name="sum")
    model = plain_float(net.finish([conv(total, "last")]), name="n", source="", kind="tflite")
    ids = channels(model.graph).of_tensor
    by_name = {t.name: ids[t.index].tolist() for t in model.graph.tensors if t.index in ids}
    assert by_name["a"] == by_name["b"] == by_name["sum"] and 0 not in by_name["a"] and len(set(by_name["a"])) == 3


@pytest.mark.parametrize("before", [False, True], ids=["behind a layer", "before a layer"])
def test_batch_normalization_is_folded(before: bool) -> None:
    rng = np.random.default_rng(1)
    net = NetBuilder()
    x = net.input((1, 5, 5, 4), name="x")
    options = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, "padding": VALID}

    def norm(x: int, shape: tuple[int, ...], activation: int) -> int:
        x = net.op("MUL", [x, net.constant(rng.uniform(0.5, 2, 4))], shape)
        return net.op("ADD", [x, net.constant(rng.normal(0, 1, 4))], shape, fusedActivationFunction=activation)

    if before:
        x = norm(net.op("TANH", [x], (1, 5, 5, 4)), (1, 5, 5, 4), NONE)
    ends = [x, net.constant(rng.normal(0, 1, (4, 3, 3, 4))), net.constant(rng.normal(0, 1, 4))]
    x = net.op("CONV_2D", ends, (1, 3, 3, 4), **options)
    if not before:
        x = norm(x, (1, 3, 3, 4), RELU)
    model = plain_float(net.finish([x]), name="n", source="", kind="tflite")
    samples = rng.normal(0, 1, (5, 5, 5, 4)).astype(np.float32)
    folded = repair("batch-norm").apply(model, setting(model, samples))
    assert [op.kind for op in folded.graph.ops] == (["TANH", "CONV_2D"] if before else ["CONV_2D"])
    np.testing.assert_allclose(outputs(folded, samples), outputs(model, samples), rtol=1e-4, atol=1e-5)


def test_a_summand_is_not_folded_through_a_padding() -> None:
    net = NetBuilder()
    x = net.input((1, 5, 5, 2), name="x")
    x = net.op("ADD", [x, net.constant(np.ones(2, np.float32))], (1, 5, 5, 2))
    ends = [x, net.constant(np.ones((2, 3, 3, 2), np.float32)), net.constant(np.zeros(2, np.float32))]
    x = net.op("CONV_2D", ends, (1, 5, 5, 2), strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, padding=SAME)
    model = plain_float(net.finish([x]), name="n", source="", kind="tflite")
    assert repair("batch-norm").apply(model, setting(model, np.zeros((3, 5, 5, 2), np.float32))) is model


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([4, 8]), st.booleans())
def test_rounding_is_on_the_grid_and_never_worse_than_the_nearest(seed: int, bits: int, depthwise: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (6, 9)) * np.exp2(rng.integers(-3, 4, (6, 1)))
    mixing = rng.normal(0, 1, (6, 9, 9) if depthwise else (9, 9))
    covariance = mixing @ np.swapaxes(mixing, -1, -2)
    rounded = round_rows(rows, covariance, bits)
    np.testing.assert_allclose(scales(rounded, bits), scales(rows, bits), rtol=1e-12)
    steps = rounded / scales(rows, bits)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert np.abs(np.rint(steps)).max() <= levels(bits)
    np.testing.assert_allclose(nearest(rounded, bits), rounded, rtol=1e-12)

    def cost(error: np.ndarray) -> np.ndarray:
        return np.einsum("oi,oij,oj->o", error, np.broadcast_to(covariance, (6, 9, 9)), error)

    damping = 0.02 * np.trace(covariance, axis1=-2, axis2=-1).max() * np.sum((nearest(rows, bits) - rows) ** 2, axis=1)
    assert np.all(cost(rounded - rows) <= cost(nearest(rows, bits) - rows) + damping)


def test_what_weights_are_multiplied_with_is_what_the_layer_computes() -> None:
    """Rows times what they see, and the bias, is the layer's output; for strides, paddings and dilations too."""
    rng = np.random.default_rng(0)
    for stride, padding, dilation, kind in [
        (1, SAME, 1, "CONV_2D"), (2, SAME, 1, "CONV_2D"), (2, VALID, 1, "DEPTHWISE_CONV_2D"), (1, SAME, 2, "CONV_2D"),
        (1, SAME, 1, "DEPTHWISE_CONV_2D"), (3, SAME, 1, "DEPTHWISE_CONV_2D"),
    ]:  # fmt: skip
        net = NetBuilder()
        x = net.input((1, 7, 8, 3), name="x")
        out = 3 if kind == "CONV_2D" else 6
        shape = (out, 3, 2, 3) if kind == "CONV_2D" else (1, 3, 2, out)
        spans = [2 * dilation + 1, dilation + 1]
        sizes = [
            -(-s // stride) if padding == SAME else (s - k) // stride + 1 for s, k in zip((7, 8), spans, strict=True)
        ]
        more = {"depthMultiplier": 2} if kind != "CONV_2D" else {}
        x = net.op(
            kind, [x, net.constant(rng.normal(0, 1, shape)), net.constant(rng.normal(0, 1, out))], (1, *sizes, out),
            strideW=stride, strideH=stride, padding=padding, dilationWFactor=dilation, dilationHFactor=dilation, **more,
        )  # fmt: skip
        model = plain_float(net.finish([x]), name="n", source="", kind="tflite")
        (layer,) = layers(model.graph)
        sample = rng.normal(0, 1, (1, 7, 8, 3)).astype(np.float32)
        seen = rows_seen(layer, sample, 10_000, rng)
        assert seen is not None
        found = seen @ layer.rows.T if kind == "CONV_2D" else np.einsum("pko,ok->po", seen, layer.rows)
        whole = (found + layer.bias_values).reshape(1, *sizes, out)
        np.testing.assert_allclose(whole, FloatRunner(model).run([sample])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bias-correction", "adaround"])
def test_four_bit_weights_lose_less_with_repairs(name: str) -> None:
    model, samples = trained().model(), digits()[0][:100]

    def error(repairs: str) -> float:
        made = convert(
            model, representative_data=samples, scheme="static_wi4_ai8", repair=repairs, calibration="min-max"
        )
        assert made.report.evaluation is not None
        found = made.report.evaluation.outputs[0].sqnr_db
        assert found is not None
        return found

    assert error(f"cle,{name}") > error("cle") + 1.0


def test_bias_correction_takes_out_the_mean_error() -> None:
    model, samples = trained().model(), digits()[0][:64]
    wanted = setting(model, samples, "static_wi4_ai8")
    corrected = repair("bias-correction").apply(model, wanted)
    seen = moments(model, wanted)
    for before, after in zip(layers(model.graph), layers(corrected.graph), strict=True):
        rows = before.rows.astype(np.float64)
        bits = wanted.weight_bits(model.graph, before.op)
        mean = seen[before.op.index].mean
        moved = (nearest(rows, bits) - rows) * (mean.T if mean.ndim == 2 else mean)
        np.testing.assert_allclose(after.bias_values - before.bias_values, -moved.sum(axis=1), rtol=1e-3, atol=1e-5)


def test_clipping_keeps_weights_inside_their_channel_and_never_hurts_their_own_error() -> None:
    model, samples = trained().model(), digits()[0][:64]
    clipped = repair("weight-clipping").apply(model, setting(model, samples, "static_wi4_ai8"))
    narrower = 0
    for before, after in zip(layers(model.graph), layers(clipped.graph), strict=True):
        widest, now = np.abs(before.rows).max(axis=1), np.abs(after.rows).max(axis=1)
        assert np.all(now <= widest * 1.000001)
        narrower += int(np.sum(now < 0.99 * widest))
    assert narrower > 0


@pytest.mark.parametrize(("asked", "applied"), [("none", ()), ("cle,bias-correction", ("cle", "bias-correction"))])
def test_repairs_asked_for_are_applied_and_told(asked: str, applied: tuple[str, ...]) -> None:
    model = trained().model()
    report = convert(model, representative_data=digits()[0][:60], repair=asked, calibration="min-max").report
    assert report.chosen.repairs == applied and report.judging_samples == 0
    told: Any = report.to_json()
    assert told["repairs"] == list(applied) and told["choice"]["asked"] == {"calibration": "min-max", "repair": asked}


def test_everything_tried_is_in_the_report() -> None:
    report = convert(trained().uneven(3).model(), representative_data=digits()[0][:120]).report
    told: Any = report.to_json()["choice"]
    tried = {(tuple(c["repairs"]), c["calibration"]) for c in told["candidates"]}
    assert {method for _, method in tried} == set(registry.CALIBRATIONS)
    assert {("cle",), ("activation-equalization",), ()} <= {repairs for repairs, _ in tried}
    assert [c for c in told["candidates"] if c["kept"]] == [told["chosen"]]
    assert all(c["score"]["sqnr_db"] is not None for c in told["candidates"])


def test_an_unknown_repair_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no repair 'magic'"):
        convert(trained().model(), representative_data=digits()[0][:30], repair=("cle", "magic"))
