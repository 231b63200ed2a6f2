"""Representative data of every form, and every way in which it can be wrong."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import NetBuilder

from edgeq.errors import DataError, EdgeqError
from edgeq.importers import Model
from edgeq.importers.plain_float import plain_float
from edgeq.quantize import Dataset, load_data


def model_with(*inputs: tuple[str, tuple[int, ...], str]) -> Model:
    net = NetBuilder()
    indices = [net.input(shape, dtype, name=name) for name, shape, dtype in inputs]
    outputs = [
        net.op("RELU", [i], shape) for i, (_, shape, dtype) in zip(indices, inputs, strict=True) if dtype == "float32"
    ]
    return plain_float(net.finish(outputs), name="net", source="", kind="tflite")


ONE = model_with(("image", (1, 4, 3, 1), "float32"))
TWO = model_with(("serving_default_left:0", (1, 4), "float32"), ("right", (1, 2, 2), "float32"))


def samples(count: int = 7, shape: tuple[int, ...] = (4, 3, 1)) -> np.ndarray:
    return np.random.default_rng(count).random((count, *shape)).astype(np.float32)


def same(data: Dataset, expected: np.ndarray, position: int = 0) -> None:
    assert len(data) == len(expected)
    np.testing.assert_array_equal(data.arrays[position].ravel(), expected.ravel())
    assert data.arrays[position].dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 3, 1), (1, 4, 3, 1)])
def test_npy_and_npz_with_and_without_a_batch_of_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = samples(5, shape)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", anything=x, y=np.arange(5))
    same(load_data(str(tmp_path / "x.npy"), ONE), x)
    archive = load_data(tmp_path / "x.npz", ONE)
    same(archive, x)
    assert archive.labels is not None and archive.labels.tolist() == [0, 1, 2, 3, 4]
    assert archive.sample(2)[0].shape == (1, 4, 3, 1)


def test_several_inputs_by_name_in_any_order(tmp_path: Path) -> None:
    left, right = samples(6, (4,)), samples(6, (2, 2)) + 1
    for names in ({"left": left, "right": right}, {"right": right, "serving_default_left:0": left}):
        np.savez(tmp_path / "two.npz", **names)
        data = load_data(tmp_path / "two.npz", TWO)
        assert data.names == ("left", "right")
        same(data, left, 0)
        same(data, right, 1)


def test_a_folder_of_samples_in_the_order_of_names(tmp_path: Path) -> None:
    x = samples(4)
    for index in (2, 0, 3, 1):
        np.save(tmp_path / f"s{index}.npy", x[index])
    np.save(tmp_path / "labels.npy", np.array([3, 2, 1, 0]))
    data = load_data(tmp_path, ONE)
    same(data, x)
    assert data.labels is not None and data.labels.tolist() == [3, 2, 1, 0]


def test_a_folder_per_input(tmp_path: Path) -> None:
    left, right = samples(3, (4,)), samples(3, (2, 2))
    for name, values in (("left", left), ("right", right)):
        (tmp_path / name).mkdir()
        for index, value in enumerate(values):
            np.save(tmp_path / name / f"{index}.npy", value)
    data = load_data(tmp_path, TWO)
    same(data, left, 0)
    same(data, right, 1)
    with pytest.raises(DataError, match="no subfolder 'left' or 'right'"):
        load_data(tmp_path / "left", TWO)


def test_a_generator_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_edgeq_data.py").write_text(
        "import numpy as np\n"
        "def one():\n    for i in range(3): yield [np.full((1, 4, 3, 1), i, np.float32)]\n"
        "def batches():\n    yield np.zeros((2, 4, 3, 1)); yield np.ones((1, 4, 3, 1))\n"
        "def endless():\n    while True: yield np.zeros((4, 3, 1))\n"
        "def breaks():\n    yield np.zeros((4, 3, 1)); raise OSError('disk on fire')\n"
        "def nothing():\n    return []\n"
        "def uneven():\n    yield np.zeros((4, 3, 1)); yield np.zeros((3, 4, 1))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load_data("my_edgeq_data:one", ONE).arrays[0][:, 0, 0, 0, 0].tolist() == [0, 1, 2]
    assert load_data("my_edgeq_data:batches", ONE).arrays[0][:, 0, 0, 0, 0].tolist() == [0, 0, 1]
    assert len(load_data("my_edgeq_data:endless", ONE, limit=9)) == 9
    for name, says in (
        ("breaks", "raised OSError after 1 samples: disk on fire"),
        ("nothing", "yielded no samples"),
        ("absent", "has no function 'absent'"),
        ("uneven", "sample 1: has the shape"),
    ):
        with pytest.raises(DataError, match=says):
            load_data(f"my_edgeq_data:{name}", ONE)
    with pytest.raises(DataError, match="can't import no_such_module"):
        load_data("no_such_module:f", ONE)


def test_generators_for_several_inputs() -> None:
    def dicts() -> Iterator[Any]:
        yield {"right": np.ones((2, 2)), "left": np.zeros(4)}

    def tuples() -> Iterator[Any]:
        yield np.zeros((1, 4)), np.ones((1, 2, 2))

    for source in (dicts, tuples):
        data = load_data(source, TWO)
        assert data.arrays[0].sum() == 0 and data.arrays[1].sum() == 4
    with pytest.raises(DataError, match="2 inputs: left, right"):
        load_data(iter([np.zeros(4)]), TWO)
    with pytest.raises(DataError, match="sample 0 has the names left, rigth"):
        load_data(iter([{"left": np.zeros(4), "rigth": np.zeros(4)}]), TWO)
    with pytest.raises(DataError, match="without labels"):
        load_data(iter([(np.zeros((4, 3, 1)), np.int64(3))]), ONE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_named_by_sample_and_input(value: float) -> None:
    x = samples(9)
    x[4, 2, 1, 0] = value
    x[6, 0, 0, 0] = value
    with pytest.raises(DataError, match=r"sample 4 of 'image' holds (NaN|Inf) at \(0, 2, 1, 0\) \(2 of 9") as caught:
        load_data(x, ONE)
    assert caught.value.facts["sample"] == 4 and caught.value.facts["samples"] == [4, 6]


def test_doubles_too_large_for_float32_are_infinite() -> None:
    with pytest.raises(DataError, match="sample 0 of 'image' holds Inf"):
        load_data(samples().astype(np.float64) * 1e300, ONE)


@pytest.mark.parametrize(
    ("shape", "says", "advice"),
    [
        ((7, 28, 28, 1), r"\(7, 28, 28, 1\), but the model takes \(N, 4, 3, 1\)", "as for training"),
        ((7, 12), r"takes \(N, 4, 3, 1\)", r"x.reshape\(-1, 4, 3, 1\)"),
        ((7, 1, 4, 4), "takes", "as for training"),
        ((12,), "takes", "as for training"),
        ((), "takes", "as for training"),
    ],
)
def test_a_wrong_shape_says_both(shape: tuple[int, ...], says: str, advice: str) -> None:
    with pytest.raises(DataError, match=rf"{says}.*\n.*{advice}"):
        load_data(np.ones(shape, np.float32), ONE)


def test_channels_first_is_recognised() -> None:
    colour = model_with(("photo", (1, 8, 6, 3), "float32"))
    with pytest.raises(DataError, match=r"transpose\(0, 2, 3, 1\)"):
        load_data(np.ones((5, 3, 8, 6), np.float32), colour)


def test_left_out_dimensions_of_one_are_taken_and_told() -> None:
    x = samples(7, (4, 3))
    data = load_data(x, ONE)
    same(data, x)
    assert any("taken as (4, 3, 1)" in text for text in data.notices)


def test_integers_for_a_float_input_are_taken_exactly_and_told() -> None:
    x = np.arange(24, dtype=np.uint8).reshape(2, 4, 3, 1)
    data = load_data(x, ONE)
    same(data, x)
    assert any("uint8 from 0 to 23" in text and "255" in text for text in data.notices)


def test_integer_inputs_take_integers_only() -> None:
    tokens = model_with(("x", (1, 2), "float32"), ("tokens", (1, 3), "int32"))
    x = np.zeros((4, 2), np.float32)
    data = load_data({"x": x, "tokens": np.arange(12, dtype=np.int64).reshape(4, 3)}, tokens)
    assert data.arrays[1].dtype == np.int32
    with pytest.raises(DataError, match=r"'tokens' holds float64, but the model takes integers \(INT32\)"):
        load_data({"x": x, "tokens": np.zeros((4, 3))}, tokens)
    with pytest.raises(DataError, match="don't fit int32"):
        load_data({"x": x, "tokens": np.full((4, 3), 2**40)}, tokens)


@pytest.mark.parametrize("values", [np.array([["a"] * 12] * 2).reshape(2, 4, 3, 1), np.zeros((2, 4, 3, 1), complex)])
def test_what_is_no_number_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="but the model takes numbers"):
        load_data(values, ONE)


def test_no_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "empty.npz")
    np.savez(tmp_path / "labels_only.npz", y=np.arange(3))
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 3, 1)))
    (tmp_path / "folder").mkdir()
    for source, says in (
        ("empty.npz", "no samples"),
        ("labels_only.npz", "no array is named 'image'"),
        ("none.npy", "no samples"),
        ("folder", "no .npy files"),
        ("absent.npz", "no such file"),
    ):
        with pytest.raises(DataError, match=says):
            load_data(tmp_path / source, ONE)


def test_names_that_dont_match_list_both_sides(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", left=samples(3, (4,)), rigth=samples(3, (2, 2)))
    with pytest.raises(DataError, match=r"named 'right' \(there: left float32 \(3, 4\), rigth.*\n.*left=…, right=…"):
        load_data(tmp_path / "two.npz", TWO)
    with pytest.raises(DataError, match="different numbers of samples: left 3, right 4"):
        load_data({"left": samples(3, (4,)), "right": samples(4, (2, 2))}, TWO)
    with pytest.raises(DataError, match="one array, but the model has 2 inputs"):
        load_data(samples(3, (4,)), TWO)


def test_labels_of_every_form(tmp_path: Path) -> None:
    x = samples(4)
    np.save(tmp_path / "l.npy", np.array([1, 0, 2, 1]))
    np.savez(tmp_path / "d.npz", x=x, truth=np.array([1.0, 0.0, 2.0, 1.0]))
    for source, labels in (
        (x, [1, 0, 2, 1]),
        (x, np.eye(3)[[1, 0, 2, 1]]),
        (x, np.array([[1], [0], [2], [1]])),
        (x, str(tmp_path / "l.npy")),
        (tmp_path / "d.npz", "truth"),
    ):
        data = load_data(source, ONE, labels=labels)
        assert data.labels is not None and data.labels.tolist() == [1, 0, 2, 1]
    with pytest.raises(DataError, match="3 labels for 4 samples"):
        load_data(x, ONE, labels=[1, 2, 3])
    with pytest.raises(DataError, match="not class numbers"):
        load_data(x, ONE, labels=[0.5, 1, 2, 3])
    with pytest.raises(DataError, match="no such labels"):
        load_data(x, ONE, labels=str(tmp_path / "absent.npy"))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    mark = tmp_path / "opened"

    class Bomb:
        def __reduce__(self) -> Any:
            return (mark.touch, ())

    np.save(tmp_path / "x.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([Bomb()], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match="doesn't open pickles"):
            load_data(tmp_path / name, ONE)
    assert not mark.exists()


@settings(max_examples=120, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["npy", "npz"]))
def test_damaged_files_end_in_an_error_or_data(
    data: st.DataObject, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"x.{kind}"
    if kind == "npy":
        np.save(path, samples(3))
    else:
        np.savez_compressed(path, x=samples(3), y=np.arange(3))
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole)))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        loaded = load_data(path, ONE)
    except EdgeqError as error:
        assert error.what
    except zlib.error:
        pytest.fail("a broken archive must end in a DataError")
    else:
        assert np.isfinite(loaded.arrays[0]).all()


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), max_size=5).map(tuple),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8", "uint16", "bool", "complex64", "U3"]),
)
def test_any_array_fits_or_is_refused(shape: tuple[int, ...], dtype: str) -> None:
    array = np.zeros(shape, dtype)
    try:
        data = load_data(array, ONE)
    except DataError as error:
        assert error.what and error.where
    else:
        assert data.arrays[0].shape == (len(data), 1, 4, 3, 1)
        assert data.arrays[0].size == array.size
