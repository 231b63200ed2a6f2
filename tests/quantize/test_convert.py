"""Conversion from a float network to int8: what comes out, what the report says, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from models import RELU6, SAME, NetBuilder, dense_float_tflite, digits, digits_float_tflite, digits_quantized

from edgeq import tflite
from edgeq.errors import DataError, ModelFileError, UnsupportedError, UsageError
from edgeq.events import Event, Notice, Progress
from edgeq.graph import DType, Graph, verify
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import convert, dequantized, quantized
from edgeq.quantize.calibration import FloatRunner, calibrate
from edgeq.quantize.methods.min_max import METHOD
from edgeq.quantize.ptq import quantize
from edgeq.reference import Reference


def plain(data: bytes, name: str = "net") -> Model:
    return plain_float(data, name=name, source="", kind="tflite")


def behind_a_convolution(kind: str, shape: tuple[int, ...] = (1, 4, 4, 8), *more: Any, **options: Any) -> Model:
    rng = np.random.default_rng(0)
    net = NetBuilder()
    x = net.input((1, 4, 4, 8), name="x")
    weights, bias = net.constant(rng.normal(0, 1, (8, 1, 1, 8))), net.constant(rng.normal(0, 1, 8))
    x = net.op("CONV_2D", [x, weights, bias], (1, 4, 4, 8), name="first", strideW=1, strideH=1)
    x = net.op(kind, [x, *(net.constant(m) for m in more)], shape, name="second", **options)
    return plain(net.finish([x]))


SAMPLES = np.random.default_rng(1).normal(0, 1, (40, 4, 4, 8)).astype(np.float32)


def operators(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def test_digits_are_read_as_well_as_in_float() -> None:
    result = digits_quantized()
    images, labels = (part[1000:] for part in digits())
    reference = Reference(result.tflite, result.graph)
    end = result.graph.tensors[result.graph.inputs[0]]
    floats = FloatRunner(plain(digits_float_tflite()))
    by_int8 = np.array([reference.run([quantized(end, image[None])])[0].argmax() for image in images])
    by_float = np.array([floats.run([image[None]])[0].argmax() for image in images])
    assert np.mean(by_float == labels) > 0.93
    assert abs(np.mean(by_int8 == labels) - np.mean(by_float == labels)) < 0.01


def test_types_are_int8_weights_per_channel_int32_bias() -> None:
    graph = digits_quantized().graph
    verify(graph)
    for op in graph.ops:
        if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        source, weights, bias = (graph.input_of(op, i) for i in range(3))
        output = graph.output_of(op)
        assert source and weights and bias and source.quant and weights.quant and bias.quant
        assert (source.dtype, weights.dtype, output.dtype) == (DType.INT8,) * 3 and bias.dtype is DType.INT32
        assert weights.quant.per_channel and not np.any(weights.quant.zero_point)
        assert weights.quant.quantized_dimension == (3 if op.kind == "DEPTHWISE_CONV_2D" else 0)
        np.testing.assert_allclose(bias.quant.scale, source.quant.scale[0] * weights.quant.scale, rtol=1e-6)
        assert weights.data is not None and int(np.abs(weights.data.astype(int)).max()) == 127
    assert not any(t.dtype.is_float for t in graph.tensors)


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_the_ends_have_the_type_asked_for_and_the_same_values(io: Any) -> None:
    inner, result = digits_quantized(), digits_quantized(io)
    graph = result.graph
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert {first.dtype.value, last.dtype.value} == {io.upper()}
    assert (first.name, last.name) == ("image", "scores")
    assert result.report.integer_only and result.report.io == io
    plain_reference, reference = Reference(inner.tflite, inner.graph), Reference(result.tflite, graph)
    for image in digits()[0][:10]:
        end = inner.graph.tensors[inner.graph.inputs[0]]
        expected = plain_reference.run([quantized(end, image[None])])[0]
        expected = dequantized(inner.graph.tensors[inner.graph.outputs[0]], expected)
        got = dequantized(last, reference.run([quantized(first, image[None])])[0])
        np.testing.assert_array_equal(got, expected)


def test_tensors_of_one_name_do_not_take_each_others_range() -> None:
    """Reading the file names them apart; a Model made in another way is refused."""
    net = NetBuilder()
    x = net.input((1, 4, 4, 8), name="x")
    x = net.op("TANH", [x], (1, 4, 4, 8), name="same")
    data = net.finish([net.op("ABS", [x], (1, 4, 4, 8), name="same")])
    model = plain(data)
    assert len({t.name for t in model.graph.tensors}) == len(model.graph.tensors)
    ranges = calibrate(model, _dataset(model, SAMPLES), METHOD)
    assert len(ranges) == 3
    with pytest.raises(ModelFileError, match="2 tensors are named 'same'") as caught:
        quantize(replace(model, tflite=data, graph=tflite.parse(data)), ranges)
    assert caught.value.facts["names"] == ["same"]


def test_a_loop_is_refused_by_name() -> None:
    model = behind_a_convolution("TANH")
    loop = replace(model.graph.ops[1], kind="WHILE")
    looped = replace(model, graph=replace(model.graph, ops=(model.graph.ops[0], loop)))
    with pytest.raises(UnsupportedError, match=r"WHILE #1 \(second\).*no integer form(.|\n)*unrolls") as caught:
        quantize(looped, {})
    assert caught.value.facts["operators"] == [1]


def test_operator_versions_are_those_of_int8() -> None:
    versions = {op.kind: op.version for op in digits_quantized("float32").graph.ops}
    assert versions == {
        "QUANTIZE": 1,
        "CONV_2D": 3,
        "DEPTHWISE_CONV_2D": 3,
        "MAX_POOL_2D": 2,
        "RESHAPE": 1,
        "FULLY_CONNECTED": 4,
        "SOFTMAX": 2,
        "DEQUANTIZE": 2,
    }
    without_bias = convert(
        plain(dense_float_tflite(bias=False)), representative_data=np.random.default_rng(0).normal(size=(30, 16))
    )
    assert {op.version for op in without_bias.graph.ops} == {6}


def test_ranges_are_the_true_minimum_and_maximum() -> None:
    model = behind_a_convolution("TANH")
    ranges = calibrate(model, _dataset(model, SAMPLES), METHOD)
    runner = FloatRunner(model, keep_all=True)
    name_of = {t.name: t.index for t in model.graph.tensors}
    seen = {name: np.stack([_tensor(runner, s, name_of[name]) for s in SAMPLES]) for name in ("x", "first", "second")}
    assert len(ranges) == 3
    for name, values in seen.items():
        found = ranges[name_of[name]]
        assert (found.low, found.high) == (float(values.min()), float(values.max()))


def _dataset(model: Model, values: np.ndarray) -> Any:
    from edgeq.quantize import load_data

    return load_data(values, model)


def _tensor(runner: FloatRunner, sample: np.ndarray, index: int) -> np.ndarray:
    runner.run([sample[None]])
    values = runner.tensor(index)
    assert values is not None
    return np.array(values)


def test_the_input_scale_covers_the_data() -> None:
    result = convert(behind_a_convolution("TANH"), representative_data=SAMPLES, samples=32)
    quant = result.graph.tensors[result.graph.inputs[0]].quant
    assert quant is not None
    spread = float(SAMPLES.max() - SAMPLES.min())
    assert 0.8 * spread < float(quant.scale[0]) * 255 <= spread * 1.0001


@pytest.mark.parametrize(
    ("kind", "shape", "more", "options"),
    [
        ("RELU", (1, 4, 4, 8), (), {}),
        ("RELU6", (1, 4, 4, 8), (), {}),
        ("LEAKY_RELU", (1, 4, 4, 8), (), {"alpha": 0.1}),
        ("ADD", (1, 4, 4, 8), (np.linspace(-1, 1, 8, dtype=np.float32),), {}),
        ("MUL", (1, 4, 4, 8), (np.linspace(-1, 1, 8, dtype=np.float32),), {}),
        ("PAD", (1, 6, 6, 8), (np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32),), {}),
        ("MEAN", (1, 8), (np.array([1, 2], np.int32),), {}),
        ("AVERAGE_POOL_2D", (1, 2, 2, 8), (), {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}),
        ("MAX_POOL_2D", (1, 2, 2, 8), (), {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}),
        ("SQUEEZE", (4, 4, 8), (), {"squeezeDims": [0]}),
        ("SOFTMAX", (1, 4, 4, 8), (), {"beta": 1.0}),
        ("LOGISTIC", (1, 4, 4, 8), (), {}),
    ],
)
def test_operators_become_int8_without_conversions_between(
    kind: str, shape: tuple[int, ...], more: tuple[Any, ...], options: dict[str, Any]
) -> None:
    result = convert(behind_a_convolution(kind, shape, *more, **options), representative_data=SAMPLES, repair="none")
    assert operators(result.graph) == ["CONV_2D", kind]
    error = result.report.evaluation.outputs[0].sqnr_db
    assert error is not None and error > 25


def test_branches_join_in_add_and_concatenation() -> None:
    rng = np.random.default_rng(0)
    net = NetBuilder()
    x = net.input((1, 4, 4, 8), name="x")

    def conv(source: int, factor: float) -> int:
        weights, bias = net.constant(rng.normal(0, factor, (8, 3, 3, 8))), net.constant(rng.normal(0, factor, 8))
        return net.op(
            "CONV_2D",
            [source, weights, bias],
            (1, 4, 4, 8),
            strideW=1,
            strideH=1,
            padding=SAME,
            fusedActivationFunction=RELU6,
        )

    a, b = conv(x, 0.5), conv(x, 0.05)
    total = net.op("ADD", [a, b], (1, 4, 4, 8))
    joined = net.op("CONCATENATION", [total, b], (1, 4, 4, 16), axis=3)
    result = convert(plain(net.finish([joined, total])), representative_data=SAMPLES)
    assert result.report.integer_only
    errors = [output.sqnr_db for output in result.report.evaluation.outputs]
    assert len(errors) == 2 and all(error is not None and error > 25 for error in errors)
    assert len(Reference(result.tflite, result.graph).run([np.zeros((1, 4, 4, 8), np.int8)])) == 2


def test_float_leftovers_are_listed_with_index_name_and_reason() -> None:
    model = behind_a_convolution("ABS")
    with pytest.raises(
        UnsupportedError, match=r"1 of 4 operators stay in floating.*\n  ABS #2 \(second.*no int8"
    ) as err:
        convert(model, representative_data=SAMPLES)
    leftovers: Any = err.value.facts["leftovers"]
    assert [(item["index"], item["kind"]) for item in leftovers] == [(1, "DEQUANTIZE"), (2, "ABS"), (3, "QUANTIZE")]
    assert "ABS #2" in leftovers[0]["reason"]
    accepted = convert(model, representative_data=SAMPLES, allow_float=True)
    assert not accepted.report.integer_only and len(accepted.report.leftovers) == 3


def test_a_channel_that_is_always_zero_does_no_harm() -> None:
    net = NetBuilder()
    x = net.input((1, 4), name="x")
    y = net.op("FULLY_CONNECTED", [x, net.constant(np.zeros((3, 4))), net.constant(np.zeros(3))], (1, 3))
    result = convert(plain(net.finish([y])), representative_data=np.random.default_rng(0).normal(size=(30, 4)))
    for tensor in result.graph.tensors:
        assert tensor.quant is None or np.all(tensor.quant.scale > 0)
    assert result.report.evaluation.outputs[0].sqnr_db is None  # no signal, no ratio
    assert result.report.evaluation.outputs[0].max_abs_error == 0.0


def test_nan_inside_the_network_is_traced_to_sample_tensor_and_layer() -> None:
    net = NetBuilder()
    x = net.input((1, 4), name="x")
    y = net.op("SQRT", [x], (1, 4), name="root")
    data = np.ones((30, 4), np.float32)
    data[17, 2] = -1.0
    with pytest.raises(DataError, match=r"sample 17 makes SQRT #0 \(root\) give NaN in tensor 1 \('root'\)") as caught:
        convert(
            plain(net.finish([net.op("TANH", [y], (1, 4))])), representative_data=data, samples=30, seed=_seed_with(17)
        )
    assert caught.value.facts["sample"] == 17 and caught.value.facts["layer"] == 0


def _seed_with(sample: int) -> int:
    """A seed whose split calibrates with `sample`."""
    from edgeq.quantize.split import split

    return next(seed for seed in range(100) if sample in split(30, seed).calibration)


def test_the_report_speaks_json_and_knows_its_samples() -> None:
    report = digits_quantized().report
    assert (report.calibration_samples, report.judging_samples, report.evaluation.samples) == (160, 0, 40)
    assert report.evaluation.held_back
    assert report.evaluation.accuracy is not None and report.evaluation.accuracy.samples == 40
    assert report.evaluation.top1_agreement is not None and report.evaluation.top1_agreement >= 0.95
    assert report.quantized_weights_bytes < report.float_weights_bytes / 3
    assert report.quantized_bytes == len(digits_quantized().tflite)
    plain_values = json.loads(json.dumps(report.to_json()))
    assert plain_values["integer_only"] is True
    assert plain_values["evaluation"]["outputs"][0]["sqnr_db"] > 25
    assert set(plain_values["seconds"]) == {"import", "data", "quantize", "evaluate"}


def test_too_few_samples_to_hold_any_back_is_said() -> None:
    result = convert(plain(digits_float_tflite()), representative_data=digits()[0][:5])
    assert not result.report.evaluation.held_back and result.report.evaluation.samples == 5
    assert any("none held back" in text for text in result.report.notices)


def test_progress_goes_up_to_the_end() -> None:
    events: list[Event] = []
    convert(plain(digits_float_tflite()), representative_data=digits()[0][:50], listener=events.append)
    steps = [e for e in events if isinstance(e, Progress) and e.stage == "calibrate"]
    assert [e.done for e in steps[:30]] == list(range(1, 31)) and all(e.total == 30 for e in steps)
    assert not any(isinstance(e, Notice) and "held back" in e.text for e in events)


@pytest.mark.slow
def test_the_same_arguments_give_the_same_bytes_in_every_process() -> None:
    program = (
        "from models import digits_int8_tflite; import hashlib; print(hashlib.sha256(digits_int8_tflite()).hexdigest())"
    )
    path = ":".join(p for p in sys.path if p)
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert hashes == {digits_quantized().graph.sha256.encode() + b"\n"}


def test_nothing_is_printed_and_tensorflow_stays_out() -> None:
    program = (
        "from models import digits_int8_tflite; import sys; digits_int8_tflite(); "
        "assert not {'tensorflow', 'torch', 'jax'} & set(sys.modules)"
    )
    path = ":".join(p for p in sys.path if p)
    said = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"io": "int16"}, UsageError, "int8, uint8, float32"),
        ({"calibration": "guess"}, UsageError, "min-max"),
        ({"repair": "cle,guess"}, UsageError, "no repair 'guess'.*\n.*auto, all, none, batch-norm, cle"),
        ({"representative_data": None}, UsageError, "needs representative data"),
        ({"samples": 0}, UsageError, "0 samples"),
        ({"representative_data": np.zeros((3, 5), np.float32)}, DataError, r"takes \(N, 8, 8, 1\)"),
    ],
)
def test_wrong_use(wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    arguments: dict[str, Any] = {"representative_data": digits()[0][:30], **wrong}
    with pytest.raises(error, match=says):
        convert(plain(digits_float_tflite()), **arguments)


def test_converting_twice_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "int8.tflite"
    path.write_bytes(digits_quantized().tflite)
    with pytest.raises(UnsupportedError, match="quantized already"):
        convert(path, representative_data=digits()[0][:30])
    with pytest.raises(ModelFileError, match="no such file"):
        convert(tmp_path / "absent.keras", representative_data=digits()[0][:30])


def test_large_weights_that_the_quantizer_puts_behind_the_file_come_back_inside() -> None:
    result = convert(
        plain(dense_float_tflite((640, 128, 128))),
        representative_data=np.random.default_rng(0).normal(size=(30, 640)).astype(np.float32),
    )
    again = tflite.parse(result.tflite)
    assert sum(t.size_bytes for t in again.tensors if t.is_constant) >= 640 * 128 + 128 * 128
    assert result.report.quantized_bytes < 640 * 128 + 128 * 128 + 20_000


def test_two_conversions_share_nothing() -> None:
    """A conversion of one network leaves no trace in the next one's bytes."""

    def make() -> bytes:
        return convert(behind_a_convolution("TANH"), representative_data=SAMPLES).tflite

    first = make()
    convert(plain(digits_float_tflite()), representative_data=digits()[0][:30])
    assert make() == first
