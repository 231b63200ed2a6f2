"""int4 weights: the reference widens them to int8, and that is what the reference kernels with int4 of their own do."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from models_flatbuffer import T, single_op_model

from edgeq.reference import Reference
from edgeq.tflite import parse

Array = np.ndarray[Any, np.dtype[np.int8]]


def _model(kind: str, per_channel: bool) -> bytes:
    rng = np.random.default_rng(3)
    shapes = {
        "CONV_2D": ((1, 5, 5, 3), (6, 3, 3, 3), (1, 3, 3, 6), 0),
        "DEPTHWISE_CONV_2D": ((1, 5, 5, 6), (1, 3, 3, 6), (1, 3, 3, 6), 3),
        "FULLY_CONNECTED": ((2, 15), (6, 15), (2, 6), 0),
    }
    given, weights, made, axis = shapes[kind]
    options = {} if kind == "FULLY_CONNECTED" else {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    scale: Any = [0.05 * (i + 1) for i in range(6)] if per_channel else 0.1
    bias: Any = [0.5 * s for s in scale] if per_channel else 0.05
    parts = [
        T(given, scale=0.5, zero_point=-3),
        T(weights, "INT4", scale=scale, axis=axis, data=rng.integers(-8, 8, weights)),
        T((6,), "INT32", scale=bias, data=rng.integers(-99, 99, 6)),
    ]
    return single_op_model(kind, parts, T(made, scale=1.5, zero_point=5), options, version=5)


def _int4_kernel(engine: str, model: bytes, sample: Array) -> Array:
    """The file as it is, run by an interpreter's own int4 kernels."""
    module = importlib.import_module(engine)
    made = module.Interpreter(model_content=model, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF)
    made.allocate_tensors()
    made.set_tensor(made.get_input_details()[0]["index"], sample)
    made.invoke()
    found: Array = made.get_tensor(made.get_output_details()[0]["index"])
    return found


@pytest.mark.parametrize("engine", ["tflite_runtime.interpreter", "ai_edge_litert.interpreter"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["one scale", "per channel"])
@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_widened_weights_are_what_int4_kernels_compute_with(kind: str, per_channel: bool, engine: str) -> None:
    if engine.startswith("tflite_runtime"):
        pytest.importorskip("tflite_runtime", reason="tflite-runtime 2.14 is not installed here")
    model = _model(kind, per_channel)
    graph = parse(model)
    rng = np.random.default_rng(4)
    if kind == "FULLY_CONNECTED" and engine.startswith("ai_edge"):
        pytest.skip("LiteRT requantizes FULLY_CONNECTED in floating point, with int8 weights too")
    runs = [rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8) for _ in range(8)]
    if kind == "FULLY_CONNECTED" and per_channel:
        with pytest.raises(RuntimeError, match="filter->type == kTfLiteInt8"):
            _int4_kernel(engine, model, runs[0])
        return
    reference = Reference(model, graph)
    for sample in runs:
        assert np.array_equal(reference.run([sample])[0], _int4_kernel(engine, model, sample))
