"""The reader on files as producers write them, and as an attacker would: a Graph or a ModelFileError, soon."""

from __future__ import annotations

import random
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from models_flatbuffer import O, T, model_bytes, model_object, pack, single_op_model

from edgeq.errors import ModelFileError
from edgeq.graph import DType, Graph, verify
from edgeq.tflite import parse, read

X = T((1, 4), scale=0.1, name="x")
Y = T((1, 4), scale=0.1, name="y")
RELU = single_op_model("RELU", [X], Y, {}, 2)


def net() -> bytes:
    """Many features in a small file: options, vectors, per-channel, INT4, a custom operator, optional inputs."""
    weights = T((3, 1, 1, 2), scale=[0.1, 0.2, 0.3], axis=0, data=[[[[1, 2]]], [[[3, 4]]], [[[5, 6]]]])
    tensors = [
        T((1, 2, 2, 2), scale=0.1, name="image", shape_signature=(-1, 2, 2, 2)),
        weights,
        T((3,), "INT32", scale=[0.01, 0.02, 0.03], data=[1, -1, 7]),
        T((1, 2, 2, 3), scale=0.2, name="conv"),
        T((2,), "INT32", data=[1, 12]),
        T((1, 12), scale=0.2, name="flat"),
        T((4, 12), "INT4", scale=0.1, data=np.arange(48) % 16 - 8),
        T((1, 4), scale=0.2, name="dense"),
        T((1, 4), "FLOAT32", name="out"),
    ]
    ops = [
        O("CONV_2D", [0, 1, 2], [3], {"stride_w": 1, "stride_h": 1, "padding": "SAME", "dilation_w_factor": 2}, 3),
        O("RESHAPE", [3, 4], [5], {"new_shape": (1, 12)}),
        O("FULLY_CONNECTED", [5, 6, -1], [7], {"fused_activation_function": "RELU"}, 4),
        O("MyDequantize", [7], [8]),
    ]
    return model_bytes(tensors, ops, [0], [8])


NET = net()
MEMORY_BYTES = 200_000_000


@contextmanager
def bounded(seconds: float = 1.0) -> Iterator[None]:
    """Fails when what is inside takes too long or too much memory."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    spent = time.process_time() - started
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert spent < seconds, f"took {spent:.1f} s"
    assert grown < MEMORY_BYTES, f"took {grown:,} bytes"


def outcome(data: bytes) -> Graph | ModelFileError:
    """What reading ends in; anything but these two fails the test by itself."""
    with bounded():
        try:
            graph = parse(data, "some.tflite")
        except ModelFileError as refused:
            assert refused.what and refused.where == "some.tflite" and refused.next_step
            assert refused.exit_code == 3
            return refused
    verify(graph)
    return graph


def refused(data: bytes) -> str:
    found = outcome(data)
    assert isinstance(found, ModelFileError)
    return found.what


def accepted(data: bytes) -> Graph:
    found = outcome(data)
    assert isinstance(found, Graph), found
    return found


def spoil(change: Callable[[Any], None], data: T = X) -> bytes:
    """The RELU model with its object tree changed; a constant `data` is tensor 0, buffer 1."""
    model = model_object([data, Y], [O("RELU", [0], [1])], [] if data.data is not None else [0], [1])
    change(model)
    return pack(model)


# -- files as they are ------------------------------------------------------------------------------------------


def test_a_network_comes_out_as_it_went_in() -> None:
    graph = accepted(NET)
    assert [op.kind for op in graph.ops] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "CUSTOM"]
    assert [op.custom_name for op in graph.ops] == ["", "", "", "MyDequantize"]
    first = graph.ops[0]
    assert (first.integer("stride_w"), first.integer("dilation_w_factor"), first.text("padding")) == (1, 2, "SAME")
    assert graph.ops[1].options["new_shape"] == (1, 12)
    assert graph.ops[2].inputs == (5, 6, -1)
    assert graph.ops[2].text("fused_activation_function") == "RELU"
    conv = graph.tensors[1]
    assert conv.quant is not None and conv.quant.scale.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert np.array_equal(graph.tensors[6].data.reshape(-1), np.arange(48) % 16 - 8)  # type: ignore[union-attr]
    assert (graph.inputs, graph.outputs) == ((0,), (8,))
    assert graph.file_bytes == len(NET) and len(graph.sha256) == 64
    assert graph.notices == ("the open batch dimension of image is frozen to 1",)


def test_constants_are_read_only_views_wherever_they_lie() -> None:
    for shift in range(4):  # an unaligned buffer is legal
        values = np.arange(6, dtype=np.int32)
        model = single_op_model("RELU", [T((6,), "INT32", data=values, name="n" * shift)], T((6,), "INT32"))
        (constant, _) = accepted(model).tensors
        assert np.array_equal(constant.data, values)  # type: ignore[arg-type]
        assert not constant.data.flags.writeable  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("dtype", "raw", "expected"),
    [("STRING", b"anything at all", None), ("BFLOAT16", b"\x80?\x00@", None), ("BOOL", b"\x00\x01", [False, True])],
)
def test_unusual_element_types_are_read(dtype: str, raw: bytes, expected: list[bool] | None) -> None:
    (constant, _) = accepted(single_op_model("CustomOp", [T((2,), dtype, data=raw)], Y)).tensors
    assert constant.dtype is DType(dtype)
    if expected is not None:
        assert constant.data.tolist() == expected  # type: ignore[union-attr]


def test_tensors_without_elements_and_scalars() -> None:
    empty, scalar, _ = accepted(single_op_model("Op", [T((0, 3), data=b""), T((), "INT32", data=b"abcd")], Y)).tensors
    assert (empty.elements, empty.size_bytes, scalar.elements, scalar.shape) == (0, 0, 1, ())


def test_of_several_subgraphs_the_first_is_used() -> None:
    model = spoil(lambda m: setattr(m, "subgraphs", m.subgraphs * 3))
    assert accepted(model).notices == ("holds 3 subgraphs; only the first is used",)


def test_operator_codes_of_old_and_new_files() -> None:
    def old(model: Any) -> None:
        model.operatorCodes[0].builtinCode = 0

    def new(model: Any) -> None:
        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.GELU  # above 126: the old field says 127
        model.operatorCodes[0].deprecatedBuiltinCode = 127

    def unknown(model: Any) -> None:
        model.operatorCodes[0].builtinCode = 9999

    assert accepted(spoil(old)).ops[0].kind == "RELU"
    assert accepted(spoil(new)).ops[0].kind == "GELU"
    assert accepted(spoil(unknown)).ops[0].kind == "BUILTIN 9999"


def test_data_behind_the_flatbuffer() -> None:
    """How files above 2 GB keep their buffers."""

    def outside(model: Any) -> None:
        model.buffers[1].data = None
        model.buffers[1].offset, model.buffers[1].size = 2**31, 4

    constant = T((4,), data=[1, 2, 3, 4])
    model = spoil(outside, constant)
    place = len(model) + 8
    patched = model.replace(struct.pack("<Q", 2**31), struct.pack("<Q", place))
    graph = accepted(patched + bytes(8) + bytes([9, 8, 7, 6]))
    assert graph.tensors[0].data.tolist() == [9, 8, 7, 6]  # type: ignore[union-attr]
    assert "its data end at byte" in refused(model)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="can't be read: No such file"):
        read(tmp_path / "no.tflite")
    with pytest.raises(ModelFileError, match="is a folder"):
        read(tmp_path)
    path = tmp_path / "net.tflite"
    path.write_bytes(NET)
    assert read(path).name == "net" and read(str(path)).source == str(path)


# -- flaws that are unambiguous, and those that aren't ----------------------------------------------------------


def test_an_axis_that_can_only_be_meant_one_way_is_repaired() -> None:
    for axis in (7, -1, 0):
        graph = accepted(single_op_model("Op", [T((2, 3), scale=[0.1] * 3, axis=axis)], Y))
        assert graph.tensors[0].quant.quantized_dimension == 1  # type: ignore[union-attr]
        assert f"along dimension {axis}" in graph.notices[0]


def test_missing_zero_points_are_zero_and_one_stands_for_all() -> None:
    for zero_point, expected in ((None, [0, 0, 0]), ([5], [5, 5, 5])):
        graph = accepted(single_op_model("Op", [T((2, 3), scale=[0.1] * 3, axis=1, zero_point=zero_point)], Y))
        assert graph.tensors[0].quant.zero_point.tolist() == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (T((3, 3), scale=[0.1] * 5, axis=1), "5 scales along dimension 1"),
        (T((3, 3), scale=[0.1] * 3, axis=4), "3 scales along dimension 4"),
        (T((2, 3), scale=[0.1] * 3, axis=1, zero_point=[0, 0]), "3 scales but 2 zero points"),
        (T((2, 3), scale=0.1, zero_point=[0, 0]), "1 scales but 2 zero points"),
        (T((-5, 4), scale=0.1), r"the shape (-5, 4)"),
        (T((-5, -4), data=bytes(20)), "shape (-5, -4)"),
        (T((-5, 4), data=bytes(20)), "shape (-5, 4)"),
        (T((4,), "INT32", data=bytes(15)), "15 bytes of data, but INT32 of shape (4,) takes 16"),
        (T((5,), "INT4", data=b"12"), "2 bytes of data, but INT4 of shape (5,) takes 3"),
        (T((2**31 - 1,) * 8, data=bytes(4)), "4 bytes of data"),
        (T((1,) * 17), "17 dimensions"),
    ],
)
def test_ambiguous_flaws_are_refused_by_name(tensor: T, words: str) -> None:
    assert words in refused(single_op_model("Op", [tensor], Y))


def _set(path: str, value: object) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        *parents, last = path.split(".")
        for name in parents:
            model = model[int(name)] if name.isdigit() else getattr(model, name)
        setattr(model, last, value)

    return change


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("version", 4, "schema version 4, expected 3"),
        ("subgraphs", [], "it holds no subgraph"),
        ("subgraphs.0.tensors.0.type", 99, "element type 99"),
        ("subgraphs.0.tensors.0.buffer", 7, "buffer 7 of 1"),
        ("subgraphs.0.tensors.0.externalBuffer", 1, "in another file"),
        ("subgraphs.0.operators.0.opcodeIndex", 5, "operator code 5 of 1"),
        ("subgraphs.0.operators.0.inputs", [9], "reads tensor 9, but there are 2"),
        ("subgraphs.0.operators.0.inputs", [-2], "reads tensor -2"),
        ("subgraphs.0.operators.0.inputs", [1], "before anything writes it"),
        ("subgraphs.0.operators.0.outputs", [], "has no output"),
        ("subgraphs.0.operators.0.outputs", [-1], "writes tensor -1"),
        ("subgraphs.0.operators.0.outputs", [0], "already has a value"),
        ("subgraphs.0.inputs", [5], "tensor 5"),
        ("subgraphs.0.outputs", [-1], "tensor -1"),
        ("subgraphs.0.operators", [], "is never written"),
    ],
)
def test_what_is_wrong_is_said(path: str, value: object, words: str) -> None:
    assert words in refused(spoil(_set(path, value)))


@pytest.mark.parametrize(("offset", "size"), [(2, 2**40), (2**63, 2**63), (2**64 - 1, 2), (10**9, 4), (4, 3)])
def test_external_buffers_outside_the_file(offset: int, size: int) -> None:
    def change(model: Any) -> None:
        model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, offset, size

    assert "bytes of data" in (what := refused(spoil(change, T((4,), data=[1, 2, 3, 4])))) or "data end" in what


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"TFL3", "not a .tflite"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "a Keras HDF5 file"),
        (b"PK\x03\x04" + bytes(50), "a zip archive"),
        (b"\x7fELF" + bytes(50), "a program"),
        (b"\x1c\x00\x00\x00TFL3", "is damaged"),
        (b"\xff\xff\xff\xffTFL3" + bytes(100), "is damaged"),
        (b"\x00\x00\x00\x00TFL3" + bytes(100), "is damaged"),
    ],
)
def test_what_is_no_model(data: bytes, words: str) -> None:
    assert words in refused(data)


# -- hostile files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [RELU, NET], ids=["relu", "net"])
def test_every_prefix_is_refused(model: bytes) -> None:
    for length in range(len(model)):
        outcome(model[:length])
    cut = [n for n in range(len(model)) if isinstance(outcome(model[:n]), Graph)]
    # Builders write the root first and the leaves last or the other way round; a few bytes of padding may be spare.
    assert all(n > len(model) - 8 for n in cut)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(NET) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_random_bytes_changed(changes: list[tuple[int, int]]) -> None:
    data = bytearray(NET)
    for place, value in changes:
        data[place] = value
    outcome(bytes(data))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(NET) // 4 - 1),
    st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, len(NET), len(NET) * 4, 2**32 - 4, 2**30]),
)
def test_any_word_replaced_by_an_extreme_one(word: int, value: int) -> None:
    data = bytearray(NET)
    struct.pack_into("<I", data, word * 4, value)
    outcome(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_splices(data: st.DataObject) -> None:
    """Pieces of the file moved, repeated and dropped, behind a valid mark."""
    place = st.integers(8, len(NET))
    pieces = data.draw(st.lists(st.tuples(place, place), min_size=1, max_size=4))
    outcome(NET[:8] + b"".join(NET[min(a, b) : max(a, b)] for a, b in pieces) + NET[8:])
    outcome(NET[: pieces[0][0]] + b"".join(NET[min(a, b) : max(a, b)] for a, b in pieces))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 320))
def test_noise_behind_the_mark(noise: bytes, root: int) -> None:
    outcome(struct.pack("<I", root) + b"TFL3" + noise)


def _vector_of_the_same(builder: Any, offset: int, count: int) -> int:
    """A vector of `count` offsets that all lead to one table."""
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _numbers(builder: Any, values: Any) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, np.int32)))


def _shared(
    *,
    tensors: int = 1,
    operators: int = 0,
    buffer_bytes: int = 0,
    shape: tuple[int, ...] = (1,),
    name: str = "x",
    codes: int = 1,
    scales: int = 0,
    dtype: int = schema.TensorType.INT8,
    ends: int = 1,
    options: int = 0,
) -> bytes:
    """A file whose lists repeat one entry: of tensors, operators, codes or anything else."""
    b = flatbuffers.Builder(1024)
    data = b.CreateNumpyVector(np.zeros(buffer_bytes, np.uint8)) if buffer_bytes else 0
    schema.BufferStart(b)
    if data:
        schema.BufferAddData(b, data)
    buffer = schema.BufferEnd(b)
    buffers = _vector_of_the_same(b, buffer, 2)
    quant = 0
    if scales:
        scale = b.CreateNumpyVector(np.ones(scales, np.float32))
        schema.QuantizationParametersStart(b)
        schema.QuantizationParametersAddScale(b, scale)
        quant = schema.QuantizationParametersEnd(b)
    label, dims = b.CreateString(name), _numbers(b, shape)
    schema.TensorStart(b)
    schema.TensorAddShape(b, dims)
    schema.TensorAddType(b, dtype)
    schema.TensorAddName(b, label)
    schema.TensorAddBuffer(b, 1 if buffer_bytes else 0)
    if quant:
        schema.TensorAddQuantization(b, quant)
    tensor = schema.TensorEnd(b)
    all_tensors = _vector_of_the_same(b, tensor, tensors)
    inputs, outputs = _numbers(b, [0] * ends), _numbers(b, [0] * ends)
    new_shape = _numbers(b, np.zeros(options)) if options else 0
    extra = 0
    if options:
        schema.ReshapeOptionsStart(b)
        schema.ReshapeOptionsAddNewShape(b, new_shape)
        extra = schema.ReshapeOptionsEnd(b)
    schema.OperatorStart(b)
    schema.OperatorAddInputs(b, inputs)
    schema.OperatorAddOutputs(b, outputs)
    if extra:
        schema.OperatorAddBuiltinOptionsType(b, schema.BuiltinOptions.ReshapeOptions)
        schema.OperatorAddBuiltinOptions(b, extra)
    all_operators = _vector_of_the_same(b, schema.OperatorEnd(b), operators)
    schema.SubGraphStart(b)
    schema.SubGraphAddTensors(b, all_tensors)
    schema.SubGraphAddInputs(b, inputs)
    schema.SubGraphAddOutputs(b, outputs)
    schema.SubGraphAddOperators(b, all_operators)
    subgraphs = _vector_of_the_same(b, schema.SubGraphEnd(b), 1)
    custom = b.CreateString(name)
    schema.OperatorCodeStart(b)
    schema.OperatorCodeAddCustomCode(b, custom)
    all_codes = _vector_of_the_same(b, schema.OperatorCodeEnd(b), codes)
    schema.ModelStart(b)
    schema.ModelAddVersion(b, 3)
    schema.ModelAddOperatorCodes(b, all_codes)
    schema.ModelAddSubgraphs(b, subgraphs)
    schema.ModelAddBuffers(b, buffers)
    b.Finish(schema.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


MANY, LONG = 100_000, 400_000


@pytest.mark.parametrize(
    "lists",
    [
        {"tensors": MANY},
        {"operators": MANY},
        {"codes": MANY},
        {"tensors": 2000, "buffer_bytes": LONG, "shape": (LONG,)},
        {"tensors": 2000, "buffer_bytes": LONG, "shape": (LONG * 2,), "dtype": schema.TensorType.INT4},
        {"tensors": 2000, "scales": LONG // 4, "shape": (LONG // 4,)},
        {"tensors": 2000, "name": "n" * LONG},
        {"codes": 2000, "name": "n" * LONG},
        {"tensors": 2000, "shape": (1,) * (LONG // 4)},
        {"operators": 2000, "ends": LONG // 4},
        {"operators": 2000, "options": LONG // 4},
    ],
    ids=lambda lists: "-".join(f"{k}" for k in lists),
)
def test_lists_that_repeat_one_entry_end_soon(lists: dict[str, Any]) -> None:
    """Each would be gigabytes or hours if the reader followed every offset."""
    outcome(_shared(**lists))


def test_sharing_by_itself_is_no_offence() -> None:
    """Producers do share buffers among equal constants."""
    model = model_object([T((4,), data=[1, 2, 3, 4])] * 3 + [Y], [O("Op", [0, 1, 2], [3])], [], [3])
    for tensor in model.subgraphs[0].tensors[:3]:
        tensor.buffer = 1
    for made in (_shared(tensors=3, buffer_bytes=2000, shape=(2000,)), pack(model)):
        graph = accepted(made)
        assert all(np.shares_memory(graph.tensors[0].data, t.data) for t in graph.tensors[1:3])  # type: ignore[arg-type]


# -- the reference models ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["kws_int8", "vww_int8", "ic_int8", "ad_int8", "kws_float"])
def test_prefixes_and_flips_of_the_reference_models(shared: Path, name: str) -> None:
    data = (shared / "mlperf_tiny" / f"{name}.tflite").read_bytes()
    graph = accepted(data)
    assert graph.ops and all("frozen to 1" in notice for notice in graph.notices)
    chance = random.Random(name)
    lengths = {*range(64), *range(len(data) - 64, len(data)), *(chance.randrange(len(data)) for _ in range(300))}
    for length in lengths:
        outcome(data[:length])
    for _ in range(300):
        spoilt = bytearray(data)
        for _ in range(chance.randrange(1, 8)):
            spoilt[chance.randrange(min(len(data), 20_000))] = chance.randrange(256)
            spoilt[-chance.randrange(1, min(len(data), 20_000))] = chance.randrange(256)
        outcome(bytes(spoilt))
