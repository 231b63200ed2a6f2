"""Models of other frameworks, as a plain float `.tflite` each."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgeq import registry
from edgeq.events import Listener, Notice, silent
from edgeq.importers.contract import Importer, Model
from edgeq.importers.detect import kind_of

__all__ = ["Model", "kind_of", "load"]


def load(source: Path | str | object, listener: Listener = silent) -> Model:
    """Read any model that edgeq can convert.

    Args:
        source: a `.keras`, `.h5` or float `.tflite` file, a SavedModel folder, or a Keras model object.

    Raises:
        ModelFileError: it can't be read, or is something else; the message says what.
        UnsupportedError: it can be read but not converted: already quantized, custom layers, open dimensions.
        MissingDependencyError: TensorFlow is needed and not installed.
    """
    kind = kind_of(source)
    importer = cast(Importer, registry.load(registry.IMPORTERS, kind, "importer"))
    model = importer(Path(source) if isinstance(source, str) else source, listener)
    for text in model.notices:
        listener(Notice(text, "import"))
    return model
