"""TensorFlow in a process of its own: its 4 to 7 seconds, its 550 MB and its log stay there."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgeq import process
from edgeq.errors import EdgeqError, MissingDependencyError, ModelFileError, ToolError, UnsupportedError
from edgeq.events import Listener, Progress

_TIMEOUT_S = 900.0
# `-c` rather than `-m`: the folder edgeq was started in must not shadow the worker's imports.
_BOOTSTRAP = (
    "import sys, runpy; sys.path[0] = sys.argv.pop(1); "
    "runpy.run_module('edgeq.importers.tensorflow_worker', run_name='__main__', alter_sys=True)"
)
_ERRORS: dict[str, type[EdgeqError]] = {
    "unreadable": ModelFileError,
    "unsupported": UnsupportedError,
    "missing": MissingDependencyError,
}


def convert_in_subprocess(kind: str, source: Path, listener: Listener) -> bytes:
    """A float `.tflite` from a file or folder.

    Args:
        kind: "keras" or "savedmodel".

    Raises:
        ModelFileError, UnsupportedError, MissingDependencyError: as the worker found.
        ToolError: the worker died; its last words are in the message.
    """
    listener(Progress("import", 0, None, detail=f"TensorFlow reads {source.name}"))
    with tempfile.TemporaryDirectory(prefix="edgeq-import-") as folder:
        target = Path(folder) / "float.tflite"
        root = Path(__file__).resolve().parent.parent.parent
        transcript = process.run(
            [sys.executable, "-c", _BOOTSTRAP, root, kind, source.resolve(), target],
            timeout_s=_TIMEOUT_S,
            cwd=Path(folder),
            environment={
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "TF_ENABLE_ONEDNN_OPTS": "0",  # the same file on every machine
                "CUDA_VISIBLE_DEVICES": "-1",
                "KERAS_BACKEND": "tensorflow",
            },
            check=False,
        )
        answer = _answer(transcript, source)
        if "error" in answer:
            raise _error(answer["error"], source, transcript.stderr)
        listener(Progress("import", 1, 1))
        return target.read_bytes()


def convert_in_process(model: Any, name: str) -> bytes:
    """A float `.tflite` from a Keras model object of this process.

    Raises:
        UnsupportedError: as above.
    """
    from edgeq.importers import tensorflow_worker

    try:
        return tensorflow_worker.from_keras_object(model)
    except tensorflow_worker.WorkerError as error:
        raise _error(error.to_json(), Path(name), "") from error


def _answer(transcript: process.Transcript, source: Path) -> dict[str, Any]:
    lines = transcript.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
        if isinstance(answer, dict):
            return answer
    except (IndexError, ValueError):
        pass
    why = "ran out of memory?" if transcript.exit_code == -9 else f"exit code {transcript.exit_code}"
    raise ToolError(
        f"TensorFlow's process ended without an answer ({why}):\n{_last_words(transcript.stderr)}",
        where=str(source),
        next_step="`python -c 'import tensorflow'` shows whether the installation works",
        exit_code=transcript.exit_code,
        stderr=transcript.stderr[-4000:],
    )


def _error(error: dict[str, Any], source: Path, stderr: str) -> EdgeqError:
    kind = _ERRORS.get(str(error.get("kind")), ToolError)
    return kind(
        str(error["what"]),
        where=str(source),
        next_step=str(error.get("next_step", "")),
        tensorflow=str(error.get("detail", ""))[-4000:],
        stderr=stderr[-4000:],
    )


def _last_words(stderr: str) -> str:
    return "\n".join(line for line in stderr.strip().splitlines()[-8:])
