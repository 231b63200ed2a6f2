"""What a file is comes from its content, and a wrong file is told what it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import digits_float_tflite

from edgeq import importers
from edgeq.errors import EdgeqError, ModelFileError
from edgeq.importers import kind_of


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_tflite_under_any_name(tmp_path: Path) -> None:
    assert kind_of(written(tmp_path / "network.h5", digits_float_tflite())) == "tflite"
    assert importers.load(tmp_path / "network.h5").kind == "tflite"


def test_hdf5_zip_and_folder(tmp_path: Path) -> None:
    assert kind_of(written(tmp_path / "a.model", b"\x89HDF\r\n\x1a\n" + bytes(100))) == "keras"
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
    assert kind_of(tmp_path / "b") == "keras"
    folder = tmp_path / "saved"
    folder.mkdir()
    written(folder / "saved_model.pb", b"\x08\x01")
    assert kind_of(str(folder)) == "savedmodel"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.tflite", b"", "is empty"),
        ("program", b"\x7fELF" + bytes(60), "a program"),
        ("x.npy", b"\x93NUMPY" + bytes(60), "a numpy array"),
        ("m.gz", b"\x1f\x8b" + bytes(60), "gzip"),
        ("net.onnx", b"\x08\x07" + bytes(60), "ONNX"),
        ("saved_model.pb", b"\x08\x01" + bytes(60), "one file of a SavedModel"),
        ("cut.keras", b"PK\x03\x04" + bytes(60), "truncated or damaged"),
        ("notes.txt", b"hello, this is a text", "not a model edgeq knows"),
    ],
)
def test_a_wrong_file_is_told_what_it_is(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(ModelFileError, match=says) as caught:
        importers.load(written(tmp_path / name, content))
    assert name in caught.value.where and caught.value.next_step


def test_data_instead_of_a_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "calib.npz", x=np.zeros(3))
    with pytest.raises(ModelFileError, match=r"numpy archive.*\n.*--representative-data"):
        importers.load(tmp_path / "calib.npz")


def test_missing_file_and_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        importers.load(tmp_path / "nothing.keras")
    written(tmp_path / "weights.bin", b"1")
    with pytest.raises(ModelFileError, match=r"without a saved_model.pb \(it holds weights.bin\)"):
        importers.load(tmp_path)


def test_an_object_that_is_no_model() -> None:
    with pytest.raises(ModelFileError, match="neither a path nor a model"):
        importers.load(42)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_end_in_an_error_or_a_model(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(digits_float_tflite())
    if data.draw(st.booleans()):
        content = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    else:
        for _ in range(data.draw(st.integers(1, 6))):
            # Damage gathers where it hurts: in the tables at both ends, not in the weights.
            place = data.draw(st.integers(0, 3000) | st.integers(len(whole) - 3000, len(whole) - 1))
            whole[place] = data.draw(st.integers(0, 255))
        content = bytes(whole)
    path = written(tmp_path_factory.mktemp("damaged") / "x.tflite", content)
    try:
        model = importers.load(path)
    except EdgeqError as error:
        assert error.what
    else:
        assert model.graph.outputs
