"""Keras `.keras` and `.h5` files, of Keras 3 and of Keras 2, and Keras model objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.events import Listener
from edgeq.importers.contract import ImportOptions, Model
from edgeq.importers.plain_float import plain_float
from edgeq.importers.tensorflow_process import convert_in_process, convert_in_subprocess


def load(source: Path | object, listener: Listener, options: ImportOptions) -> Model:
    """Convert a Keras file in a TensorFlow process of its own, or an object in this one.

    An object is converted where it lives: TensorFlow is loaded already, and its custom layers are known.

    Raises:
        ModelFileError: the file can't be read.
        UnsupportedError: custom layers, several open dimensions, or operators that `.tflite` doesn't have.
        MissingDependencyError: TensorFlow (for old files: tf_keras) is not installed.
    """
    if isinstance(source, Path):
        data = convert_in_subprocess("keras", source, listener)
        return plain_float(data, name=source.stem, source=str(source), kind="keras")
    model: Any = source
    name = str(getattr(model, "name", "") or "model")
    data = convert_in_process(model, name)
    try:
        return plain_float(data, name=name, source="", kind="keras")
    except EdgeqError as error:
        error.where = error.where or name
        raise
