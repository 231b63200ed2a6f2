"""LiteRT or tflite-runtime on a Linux computer, in a virtual environment of its own that stays there."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.errors import DeviceError, UsageError
from edgeq.events import Listener, Progress
from edgeq.measure.computer.engines.contract import (
    STEP_TIMEOUT_S,
    EngineRun,
    Job,
    SensorTrace,
    pinned,
    require_success,
    split_outputs,
)
from edgeq.runners.hosts import Host

_WORKER = "litert_worker.py"
_FILES = ("model.tflite", "inputs", "outputs", "report", _WORKER)


@dataclass(frozen=True)
class Runtime:
    """A package with an interpreter.

    Attributes:
        title: for reports; {version} is filled in.
        requirements: what pip installs, pinned so that two boards are comparable.
        module: the import that shows it is there.
        xnnpack: whether its default delegate is used.
    """

    title: str
    requirements: tuple[str, ...]
    module: str
    xnnpack: bool


# Newest versions with aarch64 wheels when tried: PyPI, ai-edge-litert (cp310 to cp314), tflite-runtime (cp39 to cp311,
# armv7l too, needs numpy 1.x).
LITERT = ("ai-edge-litert==2.3.0",)
TFLITE_RUNTIME = ("tflite-runtime==2.14.0", "numpy<2")


def _run(runtime: Runtime, host: Host, machine: str, job: Job, listener: Listener) -> EngineRun:
    python = job.python or _environment(runtime, host, job.wheels, listener)
    there = {name: posixpath.join(host.folder, name) for name in _FILES}
    host.write(there[_WORKER], (Path(__file__).with_name(_WORKER)).read_bytes())
    host.write(there["model.tflite"], job.data)
    host.write(there["inputs"], job.input_bytes)
    options = {
        "threads": job.threads,
        "samples": len(job.samples),
        "warmup": job.warmup,
        "runs": job.runs,
        "seconds": job.seconds,
        "sensors": list(job.sensors),
        "idle_seconds": job.idle_seconds,
        "xnnpack": runtime.xnnpack,
    }
    files = [there[name] for name in ("model.tflite", "inputs", "outputs", "report")]
    listener(Progress("profile", 0, 1, "runs", f"on {host.name}"))
    argv = pinned([python, there[_WORKER], *files, json.dumps(options)], job.mask)
    require_success(host.run(argv, timeout_s=STEP_TIMEOUT_S), f"{runtime.title} there", host)
    report: dict[str, Any] = json.loads(host.read(there["report"]))
    sizes = [_bytes(job, index) for index in job.graph.outputs]
    listener(Progress("profile", 1, 1, "runs"))
    return EngineRun(
        name=f"{runtime.title}, version {_version(runtime, python, host)}",
        exact=False,
        outputs=split_outputs(host.read(there["outputs"]), sizes, len(job.samples), host),
        run_ns=tuple(report["run_ns"]),
        peak_rss_bytes=report["max_rss_bytes"],
        window_ns=(report["window_ns"][0], report["window_ns"][1]),
        idle_ns=tuple(report["idle_ns"]) if "idle_ns" in report else None,
        traces=tuple(SensorTrace(s["file"], tuple((t, v) for t, v in s["samples"])) for s in report["sensors"]),
        notices=("peak RSS includes the Python interpreter and numpy, about 30 MB",),
    )


def _bytes(job: Job, index: int) -> int:
    tensor = job.graph.tensors[index]
    return int(np.prod(tensor.shape, dtype=np.int64)) * tensor.dtype.numpy.itemsize


def _environment(runtime: Runtime, host: Host, wheels: Path | None, listener: Listener) -> str:
    """The interpreter of the environment on the host; made the first time."""
    name = "-".join(runtime.requirements).translate(str.maketrans("=<>", "___"))
    home = host.script('printf "%s" "${XDG_CACHE_HOME:-$HOME/.cache}"', timeout_s=60.0).text
    folder = posixpath.join(home, "edgeq", name)
    python = posixpath.join(folder, "bin", "python")
    if host.run([python, "-c", f"import numpy, {runtime.module}"], timeout_s=120.0).exit_code == 0:
        return python
    listener(Progress("install", 0, 1, "environments", f"{' '.join(runtime.requirements)} on {host.name}, once"))
    require_success(host.run(["python3", "-m", "venv", "--clear", folder], timeout_s=300.0), "python3 -m venv", host)
    source = _push_wheels(host, wheels) if wheels is not None else []
    argv = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *source, "numpy"]
    said = host.run([*argv, *runtime.requirements], timeout_s=STEP_TIMEOUT_S)
    if said.exit_code != 0:
        host.run(["rm", "-rf", folder], timeout_s=60.0)
        words = said.stderr.decode(errors="replace").strip()[-1500:]
        raise DeviceError(
            f"pip can't install {' '.join(runtime.requirements)} there:\n{words}",
            where=host.name,
            next_step="without internet there, --wheels FOLDER copies wheels from here; or --python names an "
            "interpreter that has the runtime",
            stderr=words,
        )
    listener(Progress("install", 1, 1, "environments"))
    return python


def _push_wheels(host: Host, folder: Path) -> list[str]:
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise UsageError("holds no wheels", where=str(folder), next_step="`pip download --dest FOLDER` fetches them")
    there = posixpath.join(host.folder, "wheels")
    host.run(["mkdir", "-p", there], timeout_s=60.0)
    for wheel in wheels:
        host.write(posixpath.join(there, wheel.name), wheel.read_bytes())
    return ["--no-index", "--find-links", there]


def _version(runtime: Runtime, python: str, host: Host) -> str:
    package = runtime.requirements[0].split("=")[0]
    code = f"from importlib.metadata import version; print(version({package!r}))"
    said = host.run([python, "-c", code], timeout_s=120.0)
    return said.text.strip() if said.exit_code == 0 else "unknown"


XNNPACK = partial(_run, Runtime("LiteRT with XNNPACK", LITERT, "ai_edge_litert.interpreter", True))
PLAIN = partial(_run, Runtime("LiteRT without delegates", LITERT, "ai_edge_litert.interpreter", False))
TFLITE_2_14 = partial(_run, Runtime("tflite-runtime with XNNPACK", TFLITE_RUNTIME, "tflite_runtime.interpreter", True))
