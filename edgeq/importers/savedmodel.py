"""TensorFlow SavedModel folders."""

from __future__ import annotations

from pathlib import Path

from edgeq.events import Listener
from edgeq.importers.contract import ImportOptions, Model
from edgeq.importers.plain_float import plain_float
from edgeq.importers.tensorflow_process import convert_in_subprocess


def load(source: Path | object, listener: Listener, options: ImportOptions) -> Model:
    """Convert a SavedModel's signature, the serving one unless `options` name another, in a process of its own.

    Raises:
        UsageError: no such signature, or several and none is the serving one; the message lists them.
        ModelFileError: the folder can't be read as a SavedModel.
        UnsupportedError: several open dimensions, or operators that `.tflite` doesn't have.
        MissingDependencyError: TensorFlow is not installed.
    """
    assert isinstance(source, Path)
    data = convert_in_subprocess("savedmodel", source, listener, options.signature)
    return plain_float(data, name=source.resolve().name, source=str(source), kind="savedmodel")
