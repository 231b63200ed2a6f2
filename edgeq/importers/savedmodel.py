"""TensorFlow SavedModel folders."""

from __future__ import annotations

from pathlib import Path

from edgeq.events import Listener
from edgeq.importers.contract import Model
from edgeq.importers.plain_float import plain_float
from edgeq.importers.tensorflow_process import convert_in_subprocess


def load(source: Path | object, listener: Listener) -> Model:
    """Convert a SavedModel's serving signature in a TensorFlow process of its own.

    Raises:
        ModelFileError: the folder can't be read as a SavedModel.
        UnsupportedError: several open dimensions, or operators that `.tflite` doesn't have.
        MissingDependencyError: TensorFlow is not installed.
    """
    assert isinstance(source, Path)
    data = convert_in_subprocess("savedmodel", source, listener)
    return plain_float(data, name=source.resolve().name, source=str(source), kind="savedmodel")
