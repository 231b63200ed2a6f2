"""ONNX through a process of its own: what comes out computes what onnxruntime computes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq import importers
from edgeq.errors import ModelFileError, UnsupportedError, UsageError
from edgeq.importers import ImportOptions, kind_of
from edgeq.importers.lowering import operators
from edgeq.quantize import convert, load_data

onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
helper = onnx.helper
RNG = np.random.default_rng(0)


class Onnx:
    """Writes an ONNX model node by node; the name of a node's first output is its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []

    def input(self, name: str, *shape: int | str, kind: int = onnx.TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, data: Any) -> str:
        array = np.asarray(data)
        name = f"c{len(self.constants)}"
        stored = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        self.constants.append(onnx.numpy_helper.from_array(stored, name))
        return name

    def normal(self, *shape: int) -> str:
        return self.constant(RNG.normal(0, 0.5, shape))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"{kind}_{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def save(self, path: Path, *outputs: str, opset: int = 20) -> Path:
        ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, ends, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        onnx.save(model, str(path))
        return path


def kinds(model: importers.Model) -> Counter[str]:
    return Counter(op.kind for op in model.graph.ops)


def verified(path: Path) -> importers.Model:
    model = importers.load(path)
    assert model.verification is not None and model.verification.samples == 3
    assert model.verification.largest <= 1e-4 and "onnxruntime" in model.verification.against
    return model


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As PyTorch writes them: batch norm, padding 1 at stride 2, residual, gate, flatten and two linear layers."""
    m = Onnx()
    x = m.input("image", "batch", 3, 16, 16)
    x = m.op("Conv", x, m.normal(8, 3, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    x = m.op("Relu", m.op("BatchNormalization", x, *(m.constant(RNG.uniform(0.5, 1.5, 8)) for _ in range(4))))
    y = m.op("Conv", x, m.normal(8, 1, 3, 3), group=8, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    y = m.op("Clip", y, m.constant(np.float32(0)), m.constant(np.float32(6)))
    y = m.op("Conv", y, m.normal(8, 8, 1, 1), m.normal(8))
    gate = m.op("Sigmoid", m.op("Conv", m.op("GlobalAveragePool", y), m.normal(8, 8, 1, 1)))
    x = m.op("Relu", m.op("Add", x, m.op("Mul", y, gate)))
    x = m.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = m.op("Gemm", m.op("Flatten", x), m.normal(10, 128), m.normal(10), transB=1)
    path = tmp_path_factory.mktemp("onnx") / "classifier.onnx"
    return m.save(path, m.op("Gemm", m.op("Relu", x), m.normal(4, 10), transB=1))


def test_a_classifier_comes_out_without_transposes(classifier: Path) -> None:
    model = verified(classifier)
    assert kinds(model) == {
        "PAD": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 1, "MEAN": 1, "LOGISTIC": 1, "MUL": 1, "ADD": 1, "MAX_POOL_2D": 1,
        "RESHAPE": 1, "FULLY_CONNECTED": 2,
    }  # fmt: skip
    assert model.inputs == ("image",) and model.layouts == {"image": (0, 2, 3, 1)}
    assert model.graph.tensors[model.graph.inputs[0]].shape == (1, 16, 16, 3)


def test_it_converts_to_integers_with_data_in_either_layout(classifier: Path) -> None:
    first = RNG.normal(0, 1, (40, 3, 16, 16)).astype(np.float32)
    model = importers.load(classifier)
    last = load_data(first.transpose(0, 2, 3, 1), model)
    assert np.array_equal(load_data(first, model).arrays[0], last.arrays[0])
    result = convert(classifier, representative_data={"image": first})
    assert result.report.integer_only and result.report.kind == "onnx"
    sqnr = result.report.evaluation.outputs[0].sqnr_db
    assert sqnr is not None and sqnr > 20
    told = result.report.to_json()["verification"]
    assert isinstance(told, dict) and told["largest_difference_of_range"] <= 1e-4 and told["samples"] == 3
    assert any("verified against onnxruntime" in n for n in result.report.notices)
    assert any("NCHW became NHWC" in n for n in result.report.notices)


def test_arithmetic_and_activations(tmp_path: Path) -> None:
    m = Onnx()
    x = m.input("x", 1, 4, 5, 6)
    plain = ["Relu", "Sigmoid", "Tanh", "Elu", "Softplus", "HardSwish", "HardSigmoid", "Gelu", "Mish", "Softsign",
             "Abs", "Exp", "Neg", "Floor", "Ceil", "Sin", "Cos", "Sign", "Selu"]  # fmt: skip
    made = [m.op(kind, x) for kind in plain]
    made += [m.op("LeakyRelu", x, alpha=0.2), m.op("Gelu", x, approximate="tanh"), m.op("PRelu", x, m.normal(4, 1, 1))]
    made += [m.op("Sqrt", m.op("Abs", x)), m.op("Log", m.op("Exp", x)), m.op("Pow", x, m.constant(2.0))]
    made += [m.op("Div", x, m.constant([[[2.0]]])), m.op("Sub", m.constant(1.0), x), m.op("Reciprocal", m.op("Exp", x))]
    made += [m.op("Clip", x, m.constant(np.float32(-0.5)), m.constant(np.float32(0.7)))]
    made += [m.op("Where", m.op("Greater", x, m.constant(0.0)), x, m.constant(-0.3)), m.op("Max", x, m.constant(0.1))]
    made += [m.op("Mean", x, made[0], made[1]), m.op("Softmax", x, axis=1), m.op("LogSoftmax", x, axis=-1)]
    assert len(verified(m.save(tmp_path / "m.onnx", *made)).outputs) == len(made)


def test_axes_reductions_and_joins(tmp_path: Path) -> None:
    m = Onnx()
    x = m.input("x", 1, 4, 6, 6)
    kinds_of_sums = ("Mean", "Max", "Min", "Sum", "L2", "L1")
    made = [m.op(f"Reduce{kind}", x, m.constant([2, 3]), keepdims=0) for kind in kinds_of_sums]
    made += [m.op("ReduceSumSquare", x, m.constant([1])), m.op("LpNormalization", x, axis=1)]
    a, b = m.op("Split", x, m.constant([1, 3]), outputs=2, axis=1)
    made += [m.op("Concat", b, a, axis=1), m.op("Slice", x, *(m.constant([v]) for v in (1, 5, 2, 2)))]
    made += [m.op("Slice", x, *(m.constant([v]) for v in (-1, -100, 3, -1)))]
    made += [m.op("Gather", x, m.constant([2, 0]), axis=1), m.op("Gather", x, m.constant(1), axis=2)]
    made += [m.op("Tile", x, m.constant([1, 1, 2, 1])), m.op("Transpose", x, perm=[0, 3, 1, 2])]
    made += [m.op("Squeeze", m.op("Unsqueeze", x, m.constant([1])), m.constant([0]))]
    made += [m.op("Expand", a, m.constant([1, 3, 6, 6])), m.op("Cast", m.op("ArgMax", x, axis=1), to=1)]
    for mode in ("constant", "reflect", "edge"):
        made.append(m.op("Pad", x, m.constant([0, 0, 1, 2, 0, 0, 0, 1]), mode=mode))
    made.append(m.op("Pad", x, m.constant([0, 0, -1, 0, 0, 0, 0, -2]), m.constant(np.float32(0))))
    verified(m.save(tmp_path / "m.onnx", *made))


def test_convolutions_pools_and_resizes(tmp_path: Path) -> None:
    m = Onnx()
    x = m.input("x", 1, 4, 9, 9)
    made = []
    for attributes in (
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"pads": [2, 0, 1, 1], "dilations": [2, 1]},
    ):
        made.append(m.op("Conv", x, m.normal(6, 4, 3, 3), m.normal(6), **attributes))
    made += [m.op("Conv", x, m.normal(6, 2, 3, 3), group=2), m.op("Conv", x, m.normal(8, 1, 3, 3), group=4)]
    pads = {"pads": [1, 1, 1, 1], "output_padding": [1, 1]}
    made += [m.op("ConvTranspose", x, m.normal(4, 3, 3, 3), m.normal(3), strides=[2, 2], **pads)]
    made += [m.op("ConvTranspose", x, m.normal(4, 3, 2, 2), group=2, strides=[2, 2])]
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    made += [m.op("MaxPool", x, **pool), m.op("AveragePool", x, **pool)]
    made += [m.op("AveragePool", x, count_include_pad=1, **pool)]
    made += [m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), m.op("GlobalMaxPool", x)]
    made += [m.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)]
    sizes = m.constant([1, 4, 18, 18])
    nearest = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    made += [m.op("Resize", x, "", "", sizes, mode="nearest", **nearest)]
    for coordinates in ("half_pixel", "align_corners"):
        made += [m.op("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode=coordinates)]
    made += [m.op("DepthToSpace", x, blocksize=2, mode=mode) for mode in ("DCR", "CRD")]
    made += [m.op("InstanceNormalization", x, m.normal(4), m.normal(4))]
    wave = m.op("Reshape", x, m.constant([1, 4, 81]))
    made += [m.op("Conv", wave, m.normal(3, 4, 5), strides=[2], pads=[2, 2]), m.op("MaxPool", wave, kernel_shape=[3])]
    assert kinds(verified(m.save(tmp_path / "m.onnx", *made)))["TRANSPOSE"] <= 4


def test_recurrent_layers_are_unrolled(tmp_path: Path) -> None:
    m = Onnx()
    x = m.input("x", 5, 1, 3)
    made = []
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            weights = [m.normal(count, gates * 4, 3), m.normal(count, gates * 4, 4), m.normal(count, 2 * gates * 4)]
            made += m.op(kind, x, *weights, outputs=2, hidden_size=4, direction=direction)
    weights = [m.normal(1, 12, 3), m.normal(1, 12, 4), m.normal(1, 24)]
    made += m.op("GRU", x, *weights, "", m.normal(1, 1, 4), outputs=2, hidden_size=4, linear_before_reset=1)
    model = verified(m.save(tmp_path / "m.onnx", *made))
    assert not any(kind.startswith(("WHILE", "UNIDIRECTIONAL")) for kind in kinds(model))


def test_two_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    m = Onnx()
    a, b = m.input("left", "n", 2, 4, 4), m.input("right", "n", 3)
    x = m.op("Flatten", m.op("Conv", a, m.normal(2, 2, 3, 3)))
    joined = m.op("Concat", x, b, axis=1)
    model = verified(m.save(tmp_path / "m.onnx", m.op("Gemm", joined, m.normal(11, 2)), m.op("Relu", b)))
    assert model.inputs == ("left", "right") and model.outputs == ("Gemm_3", "Relu_4")
    data = {"right": RNG.normal(0, 1, (30, 3)), "left": RNG.normal(0, 1, (30, 2, 4, 4))}
    assert convert(model, representative_data=data).report.integer_only


def test_ends_of_every_kind(tmp_path: Path) -> None:
    """A table looked up by int64, an input that is an output too, a number without axes, a transpose and no more."""
    m = Onnx()
    places = m.input("places", "n", 5, kind=onnx.TensorProto.INT64)
    x = m.input("x", 1, 3, 4, 5)
    outputs = [m.op("Gather", m.normal(20, 4), places), m.op("Identity", x), m.op("ReduceSum", x, keepdims=0)]
    model = verified(m.save(tmp_path / "m.onnx", *outputs, m.op("Transpose", x, perm=[0, 2, 3, 1])))
    assert model.inputs == ("places", "x") and model.outputs[0] == "Gather_0"
    assert [model.graph.tensors[i].dtype.value for i in model.graph.inputs] == ["INT32", "FLOAT32"]
    only = Onnx()
    turned = verified(
        only.save(tmp_path / "t.onnx", only.op("Transpose", only.input("x", 1, 3, 4, 5), perm=[0, 2, 3, 1]))
    )
    assert turned.inputs == ("x",) and turned.layouts == {"x": (0, 2, 3, 1)}


def test_older_opsets_have_their_meaning(tmp_path: Path) -> None:
    m = Onnx()
    x = m.input("x", 1, 3, 4, 4)
    made = [m.op("Softmax", x), m.op("Clip", x, min=0.0, max=6.0)]
    made += [m.op("Squeeze", m.op("ReduceMean", x, axes=[2], keepdims=1), axes=[2])]
    made += [m.op("Pad", x, pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5), m.op("Upsample", x, m.constant([1.0, 1, 2, 2]))]
    verified(m.save(tmp_path / "m.onnx", *made, opset=9))


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda m: m.op("Conv", m.input("photo", 1, 3, "h", "w"), m.normal(2, 3, 3, 3)), UnsupportedError,
         r"input 'photo' has the shape \(1, 3, \?, \?\)"),
        (lambda m: m.op("Erf", m.input("x", 1, 3)), UnsupportedError, r"Erf \(.*no ERF"),
        (lambda m: m.op("Det", m.input("x", 1, 3, 3)), UnsupportedError, "doesn't convert: Det"),
        (lambda m: m.op("Conv", m.input("x", 1, 1, 4, 4, 4), m.normal(1, 1, 3, 3, 3)), UnsupportedError, "3 axes"),
        (lambda m: m.op("NoSuchThing", m.input("x", 1, 3)), UnsupportedError, "NoSuchThing"),
        (lambda m: m.op("QuantizeLinear", m.input("x", 1, 3), m.constant(0.1)), UnsupportedError, "quantized already"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_said(tmp_path: Path, build: Any, error: type[Exception], says: str) -> None:
    m = Onnx()
    with pytest.raises(error, match=says) as caught:
        importers.load(m.save(tmp_path / "m.onnx", build(m)))
    assert caught.value.where.endswith("m.onnx") and caught.value.next_step  # type: ignore[attr-defined]


def test_a_wrong_conversion_is_refused_with_the_outputs_name(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeq.importers import lowering

    monkeypatch.setitem(lowering._RULES, "Sigmoid", lowering._RULES["Tanh"])
    with pytest.raises(UnsupportedError, match=r"differs from onnxruntime.*: output 'Gemm_\d+' by .* of its range"):
        importers.load(classifier)


def test_a_damaged_file_and_a_signature_that_it_cannot_have(tmp_path: Path, classifier: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(classifier.read_bytes()[:500])
    with pytest.raises(ModelFileError, match=r"ONNX|onnxruntime"):
        importers.load(cut)
    with pytest.raises(UsageError, match="no signatures"):
        importers.load(classifier, options=ImportOptions(signature="serve"))


def test_it_is_known_by_its_content(tmp_path: Path, classifier: Path) -> None:
    renamed = tmp_path / "network.bin"
    renamed.write_bytes(classifier.read_bytes())
    assert kind_of(classifier) == kind_of(renamed) == "onnx"


def test_the_documentation_lists_the_operators() -> None:
    text = (Path(importers.__file__).parents[2] / "docs" / "importing.md").read_text()
    listed = text.partition("<!-- operators -->")[2].partition("<!-- end -->")[0]
    assert listed.replace("`", "").replace(",", " ").split() == list(operators())
