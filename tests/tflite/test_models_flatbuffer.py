"""The builder that other tests rely on makes files that the reference interpreter loads and edgeq reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models_flatbuffer import O, T, model_bytes, single_op_model

from edgeq.graph import DType
from edgeq.tflite import parse

rng = np.random.default_rng(7)


def _weights(shape: tuple[int, ...]) -> Any:
    return rng.integers(-127, 128, shape)


def _const(values: list[int]) -> T:
    return T((len(values),), "INT32", data=values)


def conv_model() -> bytes:
    return single_op_model(
        "CONV_2D",
        [
            T((1, 8, 8, 3), scale=0.1, zero_point=-4),
            T((5, 3, 3, 3), scale=[0.01] * 5, axis=0, data=_weights((5, 3, 3, 3))),
            T((5,), "INT32", scale=[0.001] * 5, data=np.arange(5)),
        ],
        T((1, 4, 4, 5), scale=0.2),
        {"stride_w": 2, "stride_h": 2, "padding": "SAME", "dilation_w_factor": 1, "dilation_h_factor": 1},
        version=3,
    )


IMAGE = T((1, 4, 4, 3), scale=0.1)
MODELS = {
    "CONV_2D": conv_model(),
    "DEPTHWISE_CONV_2D": single_op_model(
        "DEPTHWISE_CONV_2D",
        [
            IMAGE,
            T((1, 3, 3, 6), scale=[0.01] * 6, axis=3, data=_weights((1, 3, 3, 6))),
            T((6,), "INT32", scale=[0.001] * 6, data=np.zeros(6)),
        ],
        T((1, 4, 4, 6), scale=0.2),
        {"stride_w": 1, "stride_h": 1, "padding": "SAME", "depth_multiplier": 2}
        | {"dilation_w_factor": 1, "dilation_h_factor": 1},
        version=3,
    ),
    "FULLY_CONNECTED": single_op_model(
        "FULLY_CONNECTED",
        [T((1, 16), scale=0.1), T((4, 16), scale=0.02, data=_weights((4, 16))), None],
        T((1, 4), scale=0.5),
        version=4,
    ),
    "AVERAGE_POOL_2D": single_op_model(
        "AVERAGE_POOL_2D",
        [IMAGE],
        T((1, 2, 2, 3), scale=0.1),
        {"stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2, "padding": "VALID"},
        version=2,
    ),
    "ADD": single_op_model("ADD", [IMAGE, IMAGE], T((1, 4, 4, 3), scale=0.2), version=2),
    "PAD": single_op_model(
        "PAD",
        [IMAGE, T((4, 2), "INT32", data=[[0, 0], [1, 2], [3, 0], [0, 0]])],
        T((1, 7, 7, 3), scale=0.1),
        version=2,
    ),
    "MEAN": single_op_model("MEAN", [IMAGE, _const([1, 2])], T((1, 3), scale=0.1), {"keep_dims": False}, version=2),
    "RESHAPE": single_op_model("RESHAPE", [IMAGE, _const([1, 48])], T((1, 48), scale=0.1), {"new_shape": (1, 48)}),
    "SOFTMAX": single_op_model(
        "SOFTMAX", [T((1, 10), scale=0.1)], T((1, 10), scale=1 / 256, zero_point=-128), {"beta": 1.0}, 2
    ),
    "QUANTIZE": single_op_model("QUANTIZE", [T((1, 8), "FLOAT32")], T((1, 8), scale=0.1)),
    "RELU": single_op_model("RELU", [IMAGE], T((1, 4, 4, 3), scale=0.1), version=2),
    "CONCATENATION": single_op_model(
        "CONCATENATION", [IMAGE, IMAGE], T((1, 4, 4, 6), scale=0.1), {"axis": 3}, version=2
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_reference_interpreter_runs_them_and_edgeq_reads_the_same(kind: str) -> None:
    runtime = pytest.importorskip("tflite_runtime.interpreter")
    interpreter = runtime.Interpreter(
        model_content=MODELS[kind],
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    interpreter.invoke()

    graph = parse(MODELS[kind])
    assert [op.kind for op in graph.ops] == [kind]
    of_the_file = [d for d in interpreter.get_tensor_details() if d["index"] < len(graph.tensors)]
    assert len(of_the_file) == len(graph.tensors)  # the interpreter adds temporaries behind them
    for detail in of_the_file:
        tensor = graph.tensors[detail["index"]]
        assert tensor.shape == tuple(detail["shape"])
        assert tensor.dtype.numpy == detail["dtype"]
        scales = detail["quantization_parameters"]["scales"]
        assert np.array_equal(scales, tensor.quant.scale if tensor.quant else [])
        if tensor.data is not None:
            assert np.array_equal(interpreter.get_tensor(detail["index"]), tensor.data)


def test_options_come_back_as_they_were_named() -> None:
    (op,) = parse(conv_model()).ops
    assert (op.integer("stride_w"), op.text("padding"), op.version) == (2, "SAME", 3)
    assert op.text("fused_activation_function") == "NONE"


@pytest.mark.parametrize(("dtype", "low", "high"), [("INT4", -8, 8), ("INT2", -2, 2)])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_packed_elements_survive(dtype: str, low: int, high: int, count: int) -> None:
    values = rng.integers(low, high, (count,))
    model = model_bytes([T((count,), dtype, scale=1.0, data=values), T((count,))], [O("DEQUANTIZE", [0], [1])], [], [1])
    tensor = parse(model).tensors[0]
    assert tensor.dtype is DType(dtype)
    assert np.array_equal(tensor.data, values)
    assert tensor.size_bytes == -(-count * tensor.dtype.bits // 8)


def test_custom_operators_keep_their_name() -> None:
    (op,) = parse(single_op_model("MyOp", [IMAGE], IMAGE)).ops
    assert (op.kind, op.custom_name) == ("CUSTOM", "MyOp")


def test_misspelt_options_are_refused() -> None:
    with pytest.raises(ValueError, match="has no 'stride'"):
        single_op_model("CONV_2D", [IMAGE], IMAGE, {"stride": 2})
