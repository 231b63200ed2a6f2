"""Float `.tflite` files of any producer."""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import ModelFileError
from edgeq.events import Listener
from edgeq.importers.contract import ImportOptions, Model
from edgeq.importers.plain_float import plain_float
from edgeq.importers.signatures import with_signature


def load(source: Path | object, listener: Listener, options: ImportOptions) -> Model:
    """Read a float `.tflite`.

    Raises:
        UsageError: no such signature, or several and none is the serving one; the message lists them.
        ModelFileError: it can't be read.
        UnsupportedError: it is quantized already, or has open dimensions other than the batch.
    """
    assert isinstance(source, Path)
    try:
        data = source.read_bytes()
    except OSError as failed:
        raise ModelFileError(f"can't be read: {failed.strerror}", where=str(source)) from failed
    data = with_signature(data, options.signature, str(source))
    return plain_float(data, name=source.stem, source=str(source), kind="tflite")
