"""Each kind of model gets its own sentence, and the rule's name with it."""

from __future__ import annotations

import numpy as np
import pytest
from layers import convolution, dense, single
from models_flatbuffer import T

from edgeq.errors import UsageError
from edgeq.graph import Graph
from edgeq.runtimes import Verdict, judge, names


def only(graph: Graph, runtime: str, kernels: str = "") -> Verdict:
    (verdict,) = judge(graph, runtime, kernels=kernels).operators
    return verdict


def rule(graph: Graph, runtime: str, kernels: str = "") -> str:
    verdict = only(graph, runtime, kernels)
    return verdict.violation.rule if verdict.violation else ""


def sentence(graph: Graph, runtime: str, kernels: str = "") -> str:
    verdict = only(graph, runtime, kernels)
    return verdict.violation.message if verdict.violation else ""


def relu(dtype: str, scale: float | None = 0.5, version: int = 1) -> Graph:
    return single("RELU", T((1, 4), dtype, scale), T((1, 4), dtype, scale), version=version)


@pytest.mark.parametrize("runtime", names())
def test_an_int8_convolution_runs_everywhere(runtime: str) -> None:
    report = judge(convolution(), runtime)
    assert report.runs
    assert [v.status for v in report.operators] == ["supported"]


def test_dynamic_range_weights() -> None:
    graph = dense(activations="FLOAT32")
    assert rule(graph, "tflm") == "weights_are_as_activations"
    assert "INT8 weights but computes in FLOAT32" in sentence(graph, "tflm")
    assert "representative dataset" in sentence(graph, "tflm")
    assert only(graph, "litert").status == "supported"
    assert only(graph, "litert-gpu").status == "falls back"


def test_float() -> None:
    assert only(relu("FLOAT32", None), "tflm").status == "supported"
    assert only(relu("FLOAT32", None), "edgeq").status == "supported"
    half = single("DEQUANTIZE", T((1, 4), "FLOAT16"), T((1, 4), "FLOAT32"))
    assert rule(half, "tflm") == "not_half_float"
    assert "FLOAT16, a float format of half the size" in sentence(half, "tflm")
    assert only(half, "tflite-runtime-2.14").status == "supported"


def test_uint8() -> None:
    assert rule(relu("UINT8"), "tflm") == "not_uint8"
    assert "TensorFlow 1's quantization" in sentence(relu("UINT8"), "tflm")
    assert only(relu("UINT8"), "litert").status == "supported"


def test_operators_that_are_not_registered() -> None:
    power = single("POW", T((1, 4), "FLOAT32"), T((1, 4), "FLOAT32"), T((1, 4), "FLOAT32", data=np.ones((1, 4))))
    assert rule(power, "tflm") == "operator_is_registered"
    assert "has no POW" in sentence(power, "tflm")
    assert only(power, "litert").status == "supported"
    assert (only(power, "litert-xnnpack").status, rule(power, "litert-xnnpack")) == (
        "falls back",
        "operator_is_delegated",
    )
    sparkle = single("Sparkle", T((1, 4), scale=0.5), T((1, 4), scale=0.5))
    for runtime in ("tflm", "litert", "litert-gpu"):
        assert only(sparkle, runtime).status == "refused"
        assert rule(sparkle, runtime) == "custom_operator_is_registered"


def test_newer_versions() -> None:
    newer = relu("INT8", version=9)
    assert rule(newer, "tflite-runtime-2.14") == "version_is_registered"
    assert "has versions 1 to 3 and refuses to load" in sentence(newer, "tflite-runtime-2.14")
    assert rule(newer, "tflm") == "version_is_older_than_the_runtime"
    assert "doesn't compare versions" in sentence(newer, "tflm")
    # FULLY_CONNECTED version 12 is what today's converters write for per-channel weights.
    assert only(dense(per_channel=True, version=12), "litert").status == "supported"
    assert only(dense(per_channel=True, version=12), "tflite-runtime-2.14").status == "refused"


def test_dynamic_shapes() -> None:
    batch = single("RELU", T((1, 4), scale=0.5, shape_signature=(-1, 4)), T((1, 4), scale=0.5))
    assert judge(batch, "tflm").runs
    inner = single(
        "RELU",
        T((1, 4), scale=0.5, shape_signature=(1, -1)),
        T((1, 4), scale=0.5, shape_signature=(1, -1)),
    )
    report = judge(inner, "tflm")
    assert not report.runs
    assert [v.rule for v in report.findings] == ["inputs_keep_their_shape"]
    assert "[1, -1]" in report.findings[0].message
    assert rule(inner, "litert-xnnpack") == "shapes_are_fixed"
    assert judge(inner, "litert").runs


def test_cmsis_nn_and_reference_kernels_differ() -> None:
    graph = dense(activations="INT16", per_channel=True)
    assert rule(graph, "tflm", "cmsis-nn") == "unsupported_by_cmsis_nn_per_channel"
    assert only(graph, "tflm", "reference").status == "supported"
    with pytest.raises(UsageError, match="no kernels 'xtensa'"):
        judge(graph, "tflm", kernels="xtensa")


def test_rules_of_single_operators() -> None:
    joined = [T((1, 4), scale=0.1 * (i + 1)) for i in range(2)]
    assert rule(single("CONCATENATION", *(joined[0], T((1, 8), scale=0.1), joined[1])), "tflm") == "scales_are_kept"
    many = [T((1, 1), scale=0.1) for _ in range(11)]
    assert rule(single("CONCATENATION", many[0], T((1, 11), scale=0.1), *many[1:]), "tflm") == "few_enough_inputs"
    soft = single("SOFTMAX", T((1, 4), scale=0.5), T((1, 4), scale=0.5))
    assert rule(soft, "tflm") == "softmax_output_is_standard"
    computed = single("TRANSPOSE", T((2, 3), scale=0.5), T((3, 2), scale=0.5), T((2,), "INT32"))
    assert rule(computed, "tflm") == "parameters_are_constant"
    six = single("TRANSPOSE", T((1,) * 6, scale=0.5), T((1,) * 6, scale=0.5), T((6,), "INT32", data=range(6)))
    assert rule(six, "tflm") == "rank_is_supported"
    fused = single("CONCATENATION", joined[0], T((1, 4), scale=0.1), options={"fused_activation_function": "RELU"})
    assert rule(fused, "tflm") == "activation_is_supported"


def test_every_sentence_is_filled_in() -> None:
    for runtime in names():
        for graph in (relu("UINT8"), relu("INT16"), relu("BOOL", None), relu("INT8", version=30), dense(held="INT4")):
            assert "{" not in sentence(graph, runtime)


def test_handovers_are_counted() -> None:
    report = judge(relu("INT8"), "litert-xnnpack")
    assert (report.runs, report.fallen_back != (), report.handovers) == (True, True, 0)
    assert report.to_json()["handovers"] == 0
