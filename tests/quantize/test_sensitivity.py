"""The planted culprit comes first, graphs are matched however they were converted, and figures add up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models import dense_float_tflite, digits
from planted import CHANNELS, FAULTS, Fault, data, digits_model, few_bits, float_model, ranges_of, weights

from edgeq import importers, tflite
from edgeq.errors import UsageError
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import dequantized, load_data, quantized
from edgeq.quantize.calibration import FloatRunner
from edgeq.quantize.ptq import quantize
from edgeq.quantize.sensitivity import Analysis, analyze, match
from edgeq.quantize.sensitivity.matching import dequantized_constant
from edgeq.quantize.sensitivity.rescaled import rescaled
from edgeq.reference.fully_connected import fully_connected
from edgeq.tflite.objects import constant_buffer, pack, unpack


def analysed(model: object, made: bytes, count: int = 24) -> Analysis:
    assert not isinstance(model, bytes)
    return analyze(model, made, tflite.parse(made), data(model), samples=count)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_planted_culprit_comes_first(fault: Fault, seed: int) -> None:
    model = digits_model()
    rng = np.random.default_rng(seed)
    layer = int(rng.choice([op.index for op in model.graph.ops if fault.fits(model.graph, op)]))
    spoiled, made = fault.plant(model, ranges_of(model, data(model, 0, 400)), layer, rng)
    found = analysed(spoiled, made)
    first = found.causes[0]
    name = spoiled.graph.output_of(spoiled.graph.ops[layer]).name
    told = "\n".join(f"{c.kind} {c.share:.2f} {c.text}" for c in found.causes[:4])
    assert f"({name})" in first.label, f"planted in {name}\n{told}"
    assert first.kind in fault.kinds, told
    assert first.repairable and first.remedy


def test_a_good_model_has_nothing_but_rounding_that_matters() -> None:
    model = digits_model()
    made = quantize(model, ranges_of(model, data(model, 0, 400)))
    found = analysed(model, made)
    assert found.agreement is not None and found.agreement > 0.95
    told = "\n".join(f"{c.kind} {c.share:.2f} {c.text}" for c in found.causes[:4])
    assert all(value is None or value > 20 for value in found.output_sqnr_db.values()), told
    assert found.unmatched == () and found.notices == ()


ANYWHERE = [f for f in FAULTS if f.name not in ("bias-too-large", "one-wide-channel", "one-scale-for-all-channels")]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("network", ["hard_cases/even", "mlperf_tiny/kws"])
@pytest.mark.parametrize("fault", ANYWHERE, ids=lambda fault: fault.name)
def test_the_planted_culprit_comes_first_in_a_real_network(fault: Fault, network: str, shared: Path) -> None:
    model = importers.load(shared / f"{network}_float.tflite")
    if network.endswith("kws"):
        archive = np.load(shared / "kws_features.npz")
        values = ((archive["x_int8"].astype(np.float32) - archive["zero_point"]) * archive["scale"])[..., None]
    else:
        values = np.load(shared / "cifar10_subset.npz")["x_test"].astype(np.float32) / 255
    samples = load_data(values[:240].astype(np.float32), model)
    fitting = [op.index for op in model.graph.ops if fault.fits(model.graph, op)]
    if not fitting:
        assert fault.name == "scale-of-a-view"  # this network has no RESHAPE
        return
    rng = np.random.default_rng(3)
    layer = int(rng.choice(fitting))
    spoiled, made = fault.plant(model, ranges_of(model, samples.subset(range(200))), layer, rng)
    found = analyze(spoiled, made, tflite.parse(made), samples.subset(range(200, 240)), samples=16)
    name = model.graph.output_of(model.graph.ops[layer]).short_name
    told = "\n".join(f"{c.kind} {c.share:.2f} {c.text}" for c in found.causes[:4])
    assert f"({name})" in found.causes[0].label and found.causes[0].kind in fault.kinds, f"planted in {name}\n{told}"


def spoiled_even(shared: Path, network: str, spoil: Callable[[np.ndarray], None] | None = None) -> Analysis:
    """A network of the hard cases, converted with minimum and maximum of data that may be spoiled."""
    model = importers.load(shared / f"hard_cases/{network}_float.tflite")
    with np.load(shared / "cifar10_subset.npz") as archive:
        calibration, test = (archive[key].astype(np.float32) / 255 for key in ("x_cal", "x_test"))
    calibration = calibration[:200].copy()
    if spoil is not None:
        spoil(calibration)
    made = quantize(model, ranges_of(model, load_data(calibration, model)))
    return analyze(model, made, tflite.parse(made), load_data(test, model), samples=24)


@pytest.mark.shared
def test_an_image_that_was_not_scaled_spoils_the_calibration_of_the_whole_network(shared: Path) -> None:
    def spoil(images: np.ndarray) -> None:
        images[17] *= 255

    first = spoiled_even(shared, "even", spoil).causes[0]
    assert first.kind == "calibration-outliers" and first.layer is None and "wasn't scaled" in first.text


@pytest.mark.shared
@pytest.mark.parametrize("network", ["uneven3", "uneven5"])
def test_uneven_channels_are_told_as_what_they_are(shared: Path, network: str) -> None:
    first = spoiled_even(shared, network).causes[0]
    assert first.kind == "uneven-network" and "equalize" in first.remedy and first.share > 0.4


def test_one_sample_that_was_not_scaled_spoils_the_calibration_of_the_whole_network() -> None:
    model = digits_model()
    images = digits()[0][:200].copy()
    images[17] *= 255
    made = quantize(model, ranges_of(model, load_data(images, model)))
    first = analysed(model, made).causes[0]
    assert first.kind == "calibration-outliers" and first.layer is None and "wasn't scaled" in first.text


def test_the_figures_add_up() -> None:
    model = digits_model()
    spoiled, made = FAULTS[2].plant(model, ranges_of(model, data(model, 0, 400)), 2, np.random.default_rng(0))
    found = analysed(spoiled, made)
    layers = {layer.label: layer for layer in found.layers}
    assert len(layers) == 10  # the input, and each operator but the RESHAPE
    for layer in found.layers:
        assert sum(layer.shares.values()) == pytest.approx(1.0) or not any(layer.shares.values())
        assert layer.total_sqnr_db is not None and layer.own_sqnr_db is not None
        assert layer.distortion == pytest.approx((1.0, 0.0), abs=0.1)
    planted = next(layer for layer in found.layers if layer.op == 2)
    others = [layer for layer in found.layers if layer.op > 2]
    # Its own error is the least good of all; those behind it inherit it and are good themselves.
    assert planted.own_sqnr_db == min(layer.own_sqnr_db or 0 for layer in found.layers)
    assert all(
        (layer.own_sqnr_db or 0) > (layer.total_sqnr_db or 0) + 10 for layer in others if layer.kind != "SOFTMAX"
    )
    assert planted.shares["weights"] > 0.9
    assert sum(c.share for c in found.causes if c.layer is not None) == pytest.approx(1.0)
    logits = next(layer for layer in found.layers if layer.kind == "FULLY_CONNECTED")
    assert logits.alone_sqnr_db == pytest.approx(logits.own_sqnr_db)  # nothing that is judged comes behind it


def test_a_layer_replayed_alone_is_the_plain_difference() -> None:
    """The last layer of a good model: quantized float inputs into the integer layer, by hand."""
    model = digits_model()
    made = quantize(model, ranges_of(model, data(model, 0, 400)))
    graph = tflite.parse(made)
    found = next(layer for layer in analysed(model, made, 8).layers if layer.kind == "FULLY_CONNECTED")
    fc = next(op for op in graph.ops if op.kind == "FULLY_CONNECTED")
    other = next(op for op in model.graph.ops if op.kind == "FULLY_CONNECTED")
    weights, bias = (np.array(model.graph.tensors[i].data, np.float64) for i in other.inputs[1:])
    runner = FloatRunner(model, keep_all=True)
    chosen = np.sort(np.random.default_rng(0).permutation(40)[:8])
    signal = noise = 0.0
    for index in chosen:
        runner.run(data(model).sample(int(index)))
        x, y = runner.tensor(other.inputs[0]), runner.tensor(other.outputs[0])
        assert x is not None and y is not None
        stored = quantized(graph.tensors[fc.inputs[0]], x.reshape(1, -1))
        real = dequantized(graph.tensors[fc.inputs[0]], stored).astype(np.float64) @ weights.T + bias
        integer = fully_connected(graph, fc, stored, *(np.array(graph.tensors[i].data) for i in fc.inputs[1:]))
        gap = dequantized(graph.tensors[fc.outputs[0]], integer) - real
        signal, noise = signal + float(np.sum(y.astype(np.float64) ** 2)), noise + float(np.sum(gap**2))
    assert found.own_sqnr_db == pytest.approx(10 * np.log10(signal / noise), abs=0.01)


def test_channels_that_never_change_are_named() -> None:
    w = dict(weights())
    w["pointwise0"], w["pointwise0_bias"] = w["pointwise0"].copy(), w["pointwise0_bias"].copy()
    w["pointwise0"][3], w["pointwise0_bias"][3] = 0.0, -1.0
    model = float_model(w)
    made = quantize(model, ranges_of(model, data(model, 0, 400)))
    found = analysed(model, made)
    layer = next(layer for layer in found.layers if "pointwise0" in layer.label)
    assert 3 in layer.constant_channels
    cause = next(c for c in found.causes if c.kind == "constant-channels" and c.layer == layer.op)
    assert cause.noise == 0.0 and not cause.repairable and "channels have one value" in cause.text


@pytest.mark.parametrize("scheme", ["static_wi8_ai16", "static_wi4_ai8"])
def test_other_schemes_are_analysed_too(scheme: str) -> None:
    model = digits_model()
    made = quantize(model, ranges_of(model, data(model, 0, 400)), scheme=scheme)
    found = analysed(model, made, 8)
    value = next(iter(found.output_sqnr_db.values()))
    assert value is not None
    if scheme.endswith("ai16"):
        assert all(layer.activation is None or layer.activation.bits == 16 for layer in found.layers)
        rounding = sum(c.share for c in found.causes if c.kind in ("weight-rounding", "uneven-inputs"))
        assert rounding > 0.95  # 16-bit activations leave only the weights to lose by
    else:
        assert found.causes[0].kind == "few-bits"


def test_the_bias_that_makes_up_for_its_weights_is_no_fault() -> None:
    """Bias correction: what four-bit weights do to the mean of each channel is taken out of the bias."""
    model = digits_model()
    ranges = ranges_of(model, data(model, 0, 400))
    _, made = few_bits(model, ranges, 8, np.random.default_rng(0))
    graph, other = tflite.parse(made), model.graph.ops[8]
    op = next(op for op in graph.ops if op.kind == "FULLY_CONNECTED")
    stored, bias = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[2]]
    found = dequantized_constant(stored)
    source, floats = graph.tensors[op.inputs[0]].quant, model.graph.tensors[other.inputs[1]].data
    assert found is not None and floats is not None and source is not None and stored.quant is not None
    runner = FloatRunner(model, keep_all=True)
    inputs = []
    for index in range(200):
        runner.run(data(model, 0, 400).sample(index))
        inputs.append(np.array(runner.tensor(other.inputs[0])).reshape(-1))
    shift = (found - floats) @ np.mean(inputs, axis=0) / (source.scale[0] * stored.quant.scale)
    whole = unpack(made)
    corrected = (np.array(bias.data) - np.round(shift)).astype(np.int32)
    whole.subgraphs[0].tensors[bias.index].buffer = constant_buffer(whole, corrected)
    kinds = {c.kind for c in analysed(model, pack(whole), 24).causes}
    assert "few-bits" in kinds and "bias-wrong" not in kinds


def test_what_cannot_be_analysed_is_refused() -> None:
    model = digits_model()
    with pytest.raises(UsageError, match="computes in float"):
        analyze(model, model.tflite, model.graph, data(model))
    dense = dense_float_tflite((16, 32, 8))
    other = plain_float(dense, name="dense", source="", kind="tflite")
    made = quantize(model, ranges_of(model, data(model, 0, 400)))
    with pytest.raises(UsageError, match="different ends"):
        analyze(other, made, tflite.parse(made), data(model))


def scaled_alike(seed: int) -> Model:
    """The digits network with the channels of both depthwise layers scaled by up to 8 and the next weights back."""
    w, rng = dict(weights()), np.random.default_rng(seed)
    for block in range(2):
        steps = 2.0 ** rng.uniform(-3, 3, CHANNELS)
        w[f"depthwise{block}"] = w[f"depthwise{block}"] * steps
        w[f"depthwise{block}_bias"] = w[f"depthwise{block}_bias"] * steps
        w[f"pointwise{block}"] = w[f"pointwise{block}"] / steps
    return float_model(w)


def test_channels_that_were_equalized_are_held_against_the_float_model_scaled_alike() -> None:
    equalized = scaled_alike(0)
    made = quantize(equalized, ranges_of(equalized, data(equalized, 0, 400)))
    against_itself, against_original = analysed(equalized, made), analysed(digits_model(), made)
    assert against_itself.notices == () and "equalized" in against_original.notices[0]
    for mine, its in zip(against_original.layers, against_itself.layers, strict=True):
        assert mine.label == its.label
        assert mine.own_sqnr_db == pytest.approx(its.own_sqnr_db, abs=1.5)
        assert mine.alone_sqnr_db == pytest.approx(its.alone_sqnr_db, abs=1.5)
    assert not any(c.kind in ("weights-differ", "weight-scale", "bias-wrong") for c in against_original.causes)


def test_one_spoiled_layer_is_never_taken_for_equalization() -> None:
    model = digits_model()
    ranges = ranges_of(model, data(model, 0, 400))
    for fault in (f for f in FAULTS if "scale-of" in f.name and "view" not in f.name):
        for layer in (0, 1, 2, 3, 4):
            _, made = fault.plant(model, ranges, layer, np.random.default_rng(0))
            graph = tflite.parse(made)
            assert rescaled(model, graph, match(model.graph, graph)) is None, (fault.name, layer)
