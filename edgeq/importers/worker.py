"""Other frameworks in processes of their own: one request on the command line, one JSON object as the answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeq import process
from edgeq.errors import EdgeqError, MissingDependencyError, ModelFileError, ToolError, UnsupportedError, UsageError

TIMEOUT_S = 900.0
# A worker module without the rest of edgeq: the folder that edgeq is in may hold a whole environment, which must not
# mix with the worker's own. The working folder isn't searched either.
_BOOTSTRAP = """
import runpy, sys, types
sys.path[:] = [path for path in sys.path if path]
folder = sys.argv.pop(1)
for name, path in (("edgeq", folder), ("edgeq.importers", folder + "/importers")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
runpy.run_module("edgeq.importers." + sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_ERRORS: dict[str, type[EdgeqError]] = {
    "usage": UsageError,
    "unreadable": ModelFileError,
    "unsupported": UnsupportedError,
    "missing": MissingDependencyError,
}


def ask(
    python: Path,
    worker: str,
    arguments: Sequence[str | Path],
    *,
    framework: str,
    source: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    advice: str = "",
) -> dict[str, Any]:
    """Run a worker to its answer.

    Args:
        python: the interpreter that has the framework.
        worker: a module of this package.
        framework: what it runs, for messages.
        source: the model, for messages.
        folder: where it works.
        advice: what to do when it ends without an answer.

    Raises:
        ModelFileError, UnsupportedError, MissingDependencyError: as the worker found.
        ToolError: it died; its last words are in the message.
    """
    package = Path(__file__).resolve().parent.parent
    # An environment made for the framework is to see nothing else (-I); edgeq's own may have packages in other places.
    isolation = [] if python == Path(sys.executable) else ["-I"]
    argv = [python, *isolation, "-c", _BOOTSTRAP, package, worker, *arguments]
    transcript = process.run(argv, timeout_s=TIMEOUT_S, cwd=folder, environment=environment, check=False)
    answer = _answer(transcript, framework, source, advice)
    if "error" in answer:
        raise worker_error(answer["error"], source, transcript.stderr)
    return answer


def worker_error(error: Mapping[str, Any], source: Path, stderr: str) -> EdgeqError:
    """What a worker's answer says went wrong."""
    kind = _ERRORS.get(str(error.get("kind")), ToolError)
    return kind(
        str(error["what"]),
        where=str(source),
        next_step=str(error.get("next_step", "")),
        detail=str(error.get("detail", ""))[-4000:],
        stderr=stderr[-4000:],
    )


def _answer(transcript: process.Transcript, framework: str, source: Path, advice: str) -> dict[str, Any]:
    lines = transcript.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
        if isinstance(answer, dict):
            return answer
    except (IndexError, ValueError):
        pass
    why = "ran out of memory?" if transcript.exit_code == -9 else f"exit code {transcript.exit_code}"
    last_words = "\n".join(transcript.stderr.strip().splitlines()[-8:])
    raise ToolError(
        f"{framework}'s process ended without an answer ({why}):\n{last_words}",
        where=str(source),
        next_step=advice,
        exit_code=transcript.exit_code,
        stderr=transcript.stderr[-4000:],
    )
