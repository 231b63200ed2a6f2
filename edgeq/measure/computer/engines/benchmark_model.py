"""TensorFlow Lite's own `benchmark_model`, where the user has it: delegates with their per-operator profile.

It gives times and no outputs, so nothing is compared. Its text is read as it stands in tools/benchmark of TensorFlow
(profile_summarizer.cc, benchmark_model.cc): "Inference timings in us: …" and the table "Run Order".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from types import MappingProxyType

from edgeq.errors import DeviceError, UsageError
from edgeq.events import Listener, Progress
from edgeq.measure.computer.engines.contract import STEP_TIMEOUT_S, EngineRun, Job, pinned, require_success
from edgeq.measure.computer.measurement import OperatorTime
from edgeq.runners.hosts import Host

DELEGATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "none": ("--use_xnnpack=false",),
        "xnnpack": ("--use_xnnpack=true",),
        "gpu": ("--use_gpu=true",),
        "nnapi": ("--use_nnapi=true",),
    }
)
_SUMMARY = re.compile(r"Inference timings in us:.*?Inference \(avg\): (?P<mean>[\d.e+]+)")
_STATISTICS = re.compile(
    r"count=(?P<count>\d+)(?: first=(?P<first>\d+))?(?: curr=\d+)? min=(?P<min>\d+) max=(?P<max>\d+) "
    r"avg=(?P<avg>[\d.e+]+)(?: std=[\d.e+]+)?(?: p5=\d+)?(?: median=(?P<median>\d+))?(?: p95=\d+)?"
)
_MEMORY = re.compile(r"Overall peak memory footprint \(MB\).*?overall=(?P<mb>[\d.]+)", re.DOTALL)
_APPLIED = re.compile(
    r"Explicitly applied (?P<name>\w+) delegate, and the model graph will be (?P<how>[a-z ]+)executed"
)


def run(host: Host, machine: str, job: Job, listener: Listener) -> EngineRun:
    """See Engine."""
    if job.tool is None:
        raise UsageError(
            "the engine benchmark-model needs the program",
            next_step="--benchmark-model PATH: TensorFlow's nightly builds, or `bazel build -c opt "
            "--config=android_arm64 //tensorflow/lite/tools/benchmark:benchmark_model`",
        )
    if job.delegate not in DELEGATES:
        raise UsageError(f"there is no delegate '{job.delegate}'", next_step=f"choose one of: {', '.join(DELEGATES)}")
    there = {name: posixpath.join(host.folder, name) for name in ("benchmark_model", "model.tflite")}
    listener(Progress("copy", 0, 1, "programs"))
    host.write(there["benchmark_model"], job.tool.read_bytes(), executable=True)
    host.write(there["model.tflite"], job.data)
    argv = [
        there["benchmark_model"],
        f"--graph={there['model.tflite']}",
        f"--num_threads={job.threads}",
        f"--warmup_runs={job.warmup}",
        f"--num_runs={job.runs}",
        f"--min_secs={job.seconds}",
        "--enable_op_profiling=true",
        "--report_peak_memory_footprint=true",
        *DELEGATES[job.delegate],
    ]
    listener(Progress("profile", 0, 1, "runs", f"on {host.name}"))
    said = host.run(pinned(argv, job.mask), timeout_s=STEP_TIMEOUT_S)
    require_success(said, "benchmark_model", host)
    listener(Progress("profile", 1, 1, "runs"))
    # It logs to stderr or stdout, by version.
    text = said.stdout.decode(errors="replace") + said.stderr.decode(errors="replace")
    return parse(text, job.delegate, host.name)


def parse(text: str, delegate: str, where: str) -> EngineRun:
    """An EngineRun from what benchmark_model printed.

    Its log has the distribution's ends, median and mean, not each run: these four stand for it.

    Raises:
        DeviceError: there are no timings in it.
    """
    found = [m for m in _STATISTICS.finditer(text) if int(m["count"]) > 0]
    if not found or _SUMMARY.search(text) is None:
        raise DeviceError(
            "benchmark_model printed no timings",
            where=where,
            next_step="run it by hand; its last lines were:\n" + "\n".join(text.strip().splitlines()[-6:]),
        )
    last = found[-1]  # the first is the warm-up's
    middle = float(last["median"] or last["avg"])
    memory = _MEMORY.search(text)
    applied = _APPLIED.search(text)
    notices = ["benchmark_model prints no outputs: nothing was compared"]
    if last["median"] is None:
        notices.append("this benchmark_model prints no median: its mean stands for it")
    if delegate != "none" and applied is None:
        notices.append(f"it doesn't say that the {delegate} delegate was applied")
    elif applied is not None and "completely" not in applied["how"]:
        notices.append(f"the {applied['name']} delegate took only part of the graph: the rest ran on the CPU")
    return EngineRun(
        name=f"benchmark_model, delegate {delegate}",
        exact=False,
        outputs=(),
        run_ns=tuple(round(float(us) * 1000) for us in (last["min"], middle, last["max"])),
        operators=_operators(text),
        peak_rss_bytes=round(float(memory["mb"]) * 1024 * 1024) if memory else None,
        notices=(*notices, f"{last['count']} inferences; only their minimum, median and maximum are known"),
    )


def _operators(text: str) -> tuple[OperatorTime, ...]:
    """Of the last table "Run Order": node type, first, average in ms, %, cumulative %, memory, times, name."""
    tables = text.split("Run Order")
    if len(tables) < 2:
        return ()
    rows: list[OperatorTime] = []
    for line in tables[-1].splitlines()[1:]:
        if "Top by Computation Time" in line or "======" in line:
            break
        words = line.split("\t")
        cells = [word.strip() for word in words if word.strip()]
        if len(cells) < 7 or cells[0].startswith("["):
            continue
        average_ms = float(cells[2])
        rows.append(OperatorTime(len(rows), cells[0], cells[-1], round(average_ms * 1e6)))
    return tuple(rows)
