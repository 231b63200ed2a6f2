"""edgeq's own engine: the C that microcontrollers get, as one static program. Nothing is installed on the device."""

from __future__ import annotations

import json
import posixpath
from typing import Any

from edgeq import codegen, target
from edgeq.check import require_runnable
from edgeq.codegen.tree import Manifest
from edgeq.errors import DeviceError, UnsupportedError
from edgeq.events import Listener, Notice, Progress
from edgeq.measure.computer.engines.contract import (
    STEP_TIMEOUT_S,
    EngineRun,
    Job,
    SensorTrace,
    pinned,
    require_success,
    split_outputs,
)
from edgeq.measure.computer.measurement import OperatorTime
from edgeq.runners.hosts import Host
from edgeq.selection import compile_model
from edgeq.target import Core
from edgeq.toolchains.program import build_program

_LAYER_RUNS = 20
# What `uname -m` names → the target whose core to compile for, where this one's can't run (a 32-bit system on a
# 64-bit chip).
_GENERIC = {"armv7l": "android-arm32", "armv8l": "android-arm32", "aarch64": "android-arm64", "arm64": "android-arm64"}
_ARCHITECTURES = {"aarch64": "aarch64", "arm64": "aarch64", "armv7l": "arm", "armv8l": "arm", "x86_64": "x86_64"}


def run(host: Host, machine: str, job: Job, listener: Listener) -> EngineRun:
    """See Engine."""
    core = _core(job, machine)
    require_runnable(job.graph)
    made = compile_model(job.graph, core, job.objective)
    tree = codegen.generate_program(made.program, made.plan, job.target)
    built = build_program(tree, core, cache=job.cache, listener=listener)
    if job.threads > 1:
        listener(Notice("edgeq's engine uses one thread", "profile"))
    there = {name: posixpath.join(host.folder, name) for name in ("model", "inputs", "report")}
    listener(Progress("copy", 0, 1, "programs", f"{len(built.elf):,} bytes"))
    host.write(there["model"], built.elf, executable=True)
    host.write(there["inputs"], job.input_bytes)
    options = {
        "--profile": there["report"],
        "--warmup": job.warmup,
        "--runs": job.runs,
        "--seconds": job.seconds,
        "--layer-runs": _LAYER_RUNS,
        "--idle-seconds": job.idle_seconds,
    }
    words = [there["model"], *(str(word) for pair in options.items() for word in pair)]
    words += [word for sensor in job.sensors for word in ("--sensor", sensor)]
    listener(Progress("profile", 0, 1, "runs", f"on {host.name}"))
    said = host.run(pinned([*words, there["inputs"]], job.mask), timeout_s=STEP_TIMEOUT_S)
    require_success(said, "the model's program", host)
    report = _report(host.read(there["report"]), built.manifest, host)
    sizes = [info.size_bytes for info in built.manifest.outputs]
    listener(Progress("profile", 1, 1, "runs"))
    return EngineRun(
        name=f"edgeq ({built.toolchain}, {built.zig_target})",
        exact=True,
        outputs=split_outputs(said.stdout, sizes, len(job.samples), host),
        run_ns=tuple(report["run_ns"]),
        inferences=report["inferences"],
        operators=_operators(built.manifest, report["layer_ns"]),
        peak_rss_bytes=report["max_rss_bytes"],
        arena_bytes=built.manifest.arena_bytes,
        weights_bytes=built.manifest.weights_bytes,
        program_bytes=len(built.elf),
        macs=built.manifest.macs,
        window_ns=(report["window_ns"][0], report["window_ns"][1]),
        idle_ns=tuple(report["idle_ns"]) if "idle_ns" in report else None,
        traces=tuple(SensorTrace(s["file"], tuple((t, v) for t, v in s["samples"])) for s in report["sensors"]),
    )


def _core(job: Job, machine: str) -> Core:
    own = job.target.core
    architecture = _ARCHITECTURES.get(machine, "")
    if architecture and own.compiler.zig_target.split("-")[0] == architecture:
        return own
    if machine in _GENERIC:
        return target.load(_GENERIC[machine]).core
    raise UnsupportedError(
        f"the computer is a {machine}, {job.target.name} a {own.title}",
        where=job.target.name,
        next_step="name the target that it is; see `edgeq targets list --kind linux` or `--kind phone`",
        machine=machine,
    )


def _report(data: bytes, manifest: Manifest, host: Host) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(data)
    except ValueError as broken:
        raise DeviceError("the program's report is cut off", where=host.name) from broken
    if report["model_sha256"] != manifest.model_sha256:
        raise DeviceError("the program there was made from another model", where=host.name)
    return report


def _operators(manifest: Manifest, layer_ns: list[int]) -> tuple[OperatorTime, ...]:
    return tuple(
        OperatorTime(layer.index, layer.op, layer.name, ns, layer.macs, layer.kernel)
        for layer, ns in zip(manifest.layers, layer_ns, strict=True)
    )
