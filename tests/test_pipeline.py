"""The pipeline's own doings; what the rooms do is tested in theirs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from models_flatbuffer import T, single_op_model

from edgeq import pipeline


def test_a_model_and_its_bytes_are_of_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer may write the file anew at any moment."""
    path = tmp_path / "model.tflite"
    contents = [single_op_model("RELU", [T((1, n), scale=0.5, name="x")], T((1, n), scale=0.5)) for n in (4, 8)]
    path.write_bytes(contents[0])
    read = Path.read_bytes

    def read_and_change(self: Path) -> bytes:
        data = read(self)
        path.write_bytes(contents[1])
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_change)
    model = pipeline.read_model(path)
    assert model.data == contents[0]
    assert model.graph.sha256 == hashlib.sha256(model.data).hexdigest()
    assert (model.path, model.graph.name) == (str(path), "model")
