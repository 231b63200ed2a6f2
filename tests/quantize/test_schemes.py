"""Schemes: which types come out, where they meet, what the reference makes of them, what a target refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import SAME, NetBuilder, digits, digits_float_tflite

from edgeq import target as targets
from edgeq import tflite
from edgeq.cli.convert import command
from edgeq.errors import UnsupportedError, UsageError
from edgeq.graph import DType, Graph, verify
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import SCHEMES, convert, dequantized, load_data, quantized
from edgeq.quantize.calibration import FloatRunner, calibrate
from edgeq.quantize.feasible import require_runnable, runners
from edgeq.quantize.methods.min_max import METHOD
from edgeq.quantize.ptq import quantize
from edgeq.reference import Reference

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def model() -> Model:
    return plain_float(digits_float_tflite(), name="digits", source="", kind="tflite")


@pytest.fixture(scope="module")
def ranges(model: Model) -> Any:
    return calibrate(model, load_data(digits()[0][:100], model), METHOD)


def types(graph: Graph, kind: str) -> list[tuple[str, str, str]]:
    """(input, weights, output) of each operator of a kind."""
    found = []
    for op in graph.ops:
        if op.kind == kind:
            source, weights = graph.input_of(op, 0), graph.input_of(op, 1)
            assert source is not None and weights is not None
            found.append((source.dtype.value, weights.dtype.value, graph.output_of(op).dtype.value))
    return found


def sqnr(model: Model, data: bytes) -> float:
    graph = tflite.parse(data)
    verify(graph)
    floats, reference = FloatRunner(model), Reference(data, graph)
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    signal, noise = 0.0, 0.0
    for image in digits()[0][100:140]:
        wanted = floats.run([image[None]])[0]
        got = dequantized(last, reference.run([quantized(first, image[None])])[0])
        signal, noise = signal + float(np.sum(wanted**2)), noise + float(np.sum((got - wanted) ** 2))
    return 10 * float(np.log10(signal / noise))


@pytest.mark.parametrize(
    ("scheme", "conv", "depthwise", "least_db"),
    [
        ("static_wi8_ai8", ("INT8", "INT8", "INT8"), ("INT8", "INT8", "INT8"), 25),
        ("static_wi8_ai16", ("INT16", "INT8", "INT16"), ("INT16", "INT8", "INT16"), 30),
        ("static_wi4_ai8", ("INT8", "INT4", "INT8"), ("INT8", "INT8", "INT8"), None),
        ("dynamic_wi8_afp32", ("FLOAT32", "INT8", "FLOAT32"), ("FLOAT32", "INT8", "FLOAT32"), 30),
        ("weight_only_wi8_afp32", ("FLOAT32", "FLOAT32", "FLOAT32"), ("FLOAT32", "FLOAT32", "FLOAT32"), 30),
        ("weight_only_wi4_afp32", ("FLOAT32", "FLOAT32", "FLOAT32"), ("FLOAT32", "FLOAT32", "FLOAT32"), None),
        ("float16", ("FLOAT32", "FLOAT32", "FLOAT32"), ("FLOAT32", "FLOAT32", "FLOAT32"), 55),
    ],
)
def test_each_scheme_has_its_types_and_computes_what_the_float_model_does(
    model: Model, ranges: Any, scheme: str, conv: Any, depthwise: Any, least_db: float | None
) -> None:
    data = quantize(model, ranges if SCHEMES[scheme].is_static else {}, scheme=scheme)
    graph = tflite.parse(data)
    assert set(types(graph, "CONV_2D")) == {conv} and types(graph, "DEPTHWISE_CONV_2D") == [depthwise]
    assert types(graph, "FULLY_CONNECTED") == [conv]
    stored = {graph.tensors[op.inputs[0]].dtype for op in graph.ops if op.kind == "DEQUANTIZE"}
    expected = {"weight_only_wi8_afp32": {DType.INT8}, "float16": {DType.FLOAT16}}
    assert stored == expected.get(scheme, {DType.INT4, DType.INT8} if "only_wi4" in scheme else set())
    assert least_db is None or sqnr(model, data) > least_db


def test_four_bits_are_the_nearest_and_computed_with(model: Model, ranges: Any) -> None:
    """This network loses its accuracy with 4 bits; static and weight-only must lose it in the same way."""
    stored = quantize(model, {}, scheme="weight_only_wi4_afp32")
    graph = tflite.parse(stored)
    restored = {graph.output_of(op).name: graph.tensors[op.inputs[0]] for op in graph.ops if op.kind == "DEQUANTIZE"}
    for op in model.graph.ops:
        if op.kind in WEIGHTED:
            weights = model.graph.tensors[op.inputs[1]]
            small = next(t for name, t in restored.items() if name.startswith(weights.name))
            assert small.quant is not None and small.data is not None and weights.data is not None
            shape = [1] * 4 if op.kind != "FULLY_CONNECTED" else [1] * 2
            shape[small.quant.quantized_dimension] = -1
            scale = small.quant.scale.reshape(shape)
            assert np.all(np.abs(small.data * scale - weights.data) <= scale * 0.5001)
    only = Model(**{**vars(model), "tflite": stored, "graph": graph})
    assert sqnr(only, quantize(model, ranges, scheme="static_wi4_ai8")) > 20


def test_every_scheme_is_tested_and_offered_on_the_command_line() -> None:
    assert len(SCHEMES) == 7
    shown = next(p for p in command.params if p.name == "scheme")
    assert all(name in (getattr(shown, "help", "") or "") for name in SCHEMES)


def test_where_int8_meets_int16_a_quantize_converts(model: Model, ranges: Any) -> None:
    by_index = quantize(model, ranges, per_layer={1: "static_wi8_ai16", 2: "static_wi4_ai8"})
    graph = tflite.parse(by_index)
    assert [op.kind for op in graph.ops][:4] == ["CONV_2D", "QUANTIZE", "DEPTHWISE_CONV_2D", "QUANTIZE"]
    assert types(graph, "DEPTHWISE_CONV_2D") == [("INT16", "INT8", "INT16")]
    assert types(graph, "CONV_2D") == [("INT8", "INT8", "INT8"), ("INT8", "INT4", "INT8")]
    assert {(op.kind, op.version) for op in graph.ops if "CONV" in op.kind} == {
        ("CONV_2D", 3),
        ("CONV_2D", 7),
        ("DEPTHWISE_CONV_2D", 5),
    }
    by_name = {"depthwise": "static_wi8_ai16", "pointwise": SCHEMES["static_wi4_ai8"]}
    assert quantize(model, ranges, per_layer=by_name) == by_index
    assert sqnr(model, by_index) > 10


def test_a_layer_can_stay_in_float_and_ends_follow_their_readers(model: Model, ranges: Any) -> None:
    graph = tflite.parse(quantize(model, ranges, "float32", per_layer={0: "static_wi8_ai16", 5: "float32"}))
    assert graph.ops[0].kind == "QUANTIZE" and graph.output_of(graph.ops[0]).dtype is DType.INT16
    assert types(graph, "FULLY_CONNECTED") == [("FLOAT32", "FLOAT32", "FLOAT32")]


def test_four_bit_weights_give_the_same_bytes_in_both_engines(model: Model, ranges: Any) -> None:
    pytest.importorskip("tflite_runtime")
    data = quantize(model, ranges, scheme="static_wi4_ai8")
    graph = tflite.parse(data)
    first = graph.tensors[graph.inputs[0]]
    old, new = (Reference(data, graph, engine) for engine in ("tflite-runtime", "litert"))  # type: ignore[arg-type]
    for image in digits()[0][:20]:
        stored = [quantized(first, image[None])]
        np.testing.assert_array_equal(old.run(stored)[0], new.run(stored)[0])


def test_widened_weights_compute_what_four_bit_kernels_do() -> None:
    """LiteRT has 4-bit CONV_2D itself: the rewritten file must not differ from it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    rng = np.random.default_rng(0)
    net = NetBuilder()
    x = net.input((1, 6, 6, 5), name="x")
    weights, bias = net.constant(rng.normal(0, 1, (7, 3, 3, 5))), net.constant(rng.normal(0, 1, 7))
    options = {"strideW": 1, "strideH": 1, "padding": SAME, "dilationWFactor": 1, "dilationHFactor": 1}
    net_model = plain_float(
        net.finish([net.op("CONV_2D", [x, weights, bias], (1, 6, 6, 7), **options)]), name="c", source="", kind="tflite"
    )
    samples = rng.normal(0, 1, (20, 6, 6, 5)).astype(np.float32)
    found = calibrate(net_model, load_data(samples, net_model), METHOD)
    data = quantize(net_model, found, scheme="static_wi4_ai8")
    graph = tflite.parse(data)
    own = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    own.allocate_tensors()
    reference = Reference(data, graph)
    for sample in samples:
        stored = quantized(graph.tensors[graph.inputs[0]], sample[None])
        own.set_tensor(own.get_input_details()[0]["index"], stored)
        own.invoke()
        np.testing.assert_array_equal(own.get_tensor(own.get_output_details()[0]["index"]), reference.run([stored])[0])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scheme": "int3"}, "static_wi8_ai8, .*float16"),
        ({"scheme": "float32"}, "there is no scheme 'float32'"),
        ({"scheme": "float16", "io": "int8"}, "choose one of: float32"),
        ({"scheme": "static_wi8_ai16", "io": "int8"}, "choose one of: int16, float32"),
        ({"per_layer": {99: "float16"}}, "no layer 99"),
        ({"per_layer": {"nowhere": "float16"}}, "no layer 'nowhere'"),
    ],
)
def test_wrong_use_names_what_is_possible(model: Model, ranges: Any, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        quantize(model, ranges, **wrong)


def test_a_scheme_that_nothing_on_the_target_runs_is_refused(model: Model) -> None:
    board, phone = targets.load("nucleo-l4r5zi"), targets.load("pixel-8")
    on_board, on_phone = runners(model, board), runners(model, phone)
    assert "edgeq" in on_board["static_wi8_ai8"] and on_board["float16"] == ()
    assert all(on_phone.values()) and "edgeq" not in on_phone["float16"]
    with pytest.raises(
        UnsupportedError, match=r"nucleo-l4r5zi can't run float16.*\n.*choose one of: static_wi8"
    ) as err:
        convert(model, scheme="float16", target=board)
    assert "float16" not in err.value.facts["schemes"]  # type: ignore[operator]
    assert require_runnable(model, "static_wi8_ai8", board) == on_board["static_wi8_ai8"]


def test_schemes_in_float_need_no_data_and_are_not_called_integer(model: Model) -> None:
    result = convert(model, scheme="dynamic_wi8_afp32")
    report = result.report
    assert report.evaluation is None and not report.integer_only and report.leftovers == ()
    assert report.calibration_samples == 0 and report.io == "float32"
    assert report.to_json()["evaluation"] is None
    judged = convert(model, scheme="float16", representative_data=digits()[0][:30]).report.evaluation
    assert judged is not None and judged.top1_agreement == 1.0
