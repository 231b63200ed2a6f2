"""TensorFlow in a process of its own: its 4 to 7 seconds, its 550 MB and its log stay there."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from edgeq.events import Listener, Progress
from edgeq.importers.worker import ask, worker_error


def convert_in_subprocess(kind: str, source: Path, listener: Listener, signature: str = "") -> bytes:
    """A float `.tflite` from a file or folder.

    Args:
        kind: "keras" or "savedmodel".
        signature: of a SavedModel with several.

    Raises:
        ModelFileError, UnsupportedError, MissingDependencyError: as the worker found.
        ToolError: the worker died; its last words are in the message.
    """
    listener(Progress("import", 0, None, detail=f"TensorFlow reads {source.name}"))
    with tempfile.TemporaryDirectory(prefix="edgeq-import-") as folder:
        target = Path(folder) / "float.tflite"
        ask(
            Path(sys.executable),
            "tensorflow_worker",
            [kind, source.resolve(), target, signature],
            framework="TensorFlow",
            source=source,
            folder=Path(folder),
            environment={
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "TF_ENABLE_ONEDNN_OPTS": "0",  # the same file on every machine
                "CUDA_VISIBLE_DEVICES": "-1",
                "KERAS_BACKEND": "tensorflow",
            },
            advice="`python -c 'import tensorflow'` shows whether the installation works",
        )
        listener(Progress("import", 1, 1))
        return target.read_bytes()


def convert_in_process(model: Any, name: str) -> bytes:
    """A float `.tflite` from a Keras model object of this process.

    Raises:
        UnsupportedError: as above.
    """
    from edgeq.importers import tensorflow_worker
    from edgeq.importers.worker_side import WorkerError

    try:
        return tensorflow_worker.from_keras_object(model)
    except WorkerError as error:
        raise worker_error(error.to_json(), Path(name), "") from error
