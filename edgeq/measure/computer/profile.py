"""Profile on a computer or phone: bring the model there, run it, compare every output, tell the conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq import registry
from edgeq.codegen.generate import tensor_info
from edgeq.errors import NegativeResult, UsageError
from edgeq.events import Listener, silent
from edgeq.graph import Graph
from edgeq.kernels import Objective
from edgeq.measure.comparison import Comparison
from edgeq.measure.computer import conditions, power
from edgeq.measure.computer.conditions import Conditions
from edgeq.measure.computer.engines import Engine, EngineRun, Job
from edgeq.measure.computer.measurement import ComputerEnergy, ComputerMeasurement, Latency
from edgeq.measure.inputs import Samples
from edgeq.measure.measurement import Validation
from edgeq.measure.profile import Reference
from edgeq.runners.hosts import Connector
from edgeq.runners.locks import Claim, key_of_host, key_of_phone, unclaimed
from edgeq.target import Target

DEFAULT_SAMPLES = 20
DEFAULT_RUNS = 50
DEFAULT_WARMUP = 10
DEFAULT_SECONDS = 2
# A processor that rises by so much while a model runs is not in a steady state.
_WARMING_C = 10.0
_BUSY_LOAD = 0.7
_PACED_GOVERNORS = frozenset({"powersave", "ondemand", "conservative", "interactive", "schedutil"})


@dataclass(frozen=True)
class Request:
    """How one profile is made.

    Attributes:
        connector: a name in `edgeq.registry.HOSTS`; `address`: as it takes it.
        engine: a name in `edgeq.registry.ENGINES`.
        cpus: "all", "big", "little", or a list such as "0-3".
        meter: "", or "ina2xx[:FILE]".
        runs, seconds: 0 for the defaults.
        tool, delegate, wheels, python, objective: see `Job`.
    """

    connector: str
    address: str
    engine: str = "edgeq"
    threads: int = 1
    cpus: str = "all"
    meter: str = ""
    warmup: int = DEFAULT_WARMUP
    runs: int = 0
    seconds: int = 0
    cache: Path | None = None
    tool: Path | None = None
    delegate: str = "none"
    wheels: Path | None = None
    python: str = ""
    objective: Objective = Objective.BALANCED


@dataclass(frozen=True, eq=False)
class ComputerSubject:
    """What is measured, and what it is held against."""

    data: bytes
    graph: Graph
    target: Target
    samples: Samples
    reference: Reference
    reference_name: str
    model_path: str = ""


def profile(
    request: Request, subject: ComputerSubject, listener: Listener = silent, claim: Claim = unclaimed
) -> ComputerMeasurement:
    """Measure a model on the computer or phone behind an address.

    Args:
        claim: takes the lock of the device: two runs at once would measure each other.

    Raises:
        UsageError: an engine, core or meter that isn't there.
        NegativeResult: the device says that it is another than the target.
        UnsupportedError: the engine can't run this model.
        DeviceError: no connection, or something failed there.
    """
    connect: Connector = registry.load(registry.HOSTS, request.connector, "kind of host")
    engine: Engine = registry.load(registry.ENGINES, request.engine, "engine")
    if request.address:
        claim([_key(request.connector, request.address)])
    with connect(request.address) as host:
        if not request.address:  # the only phone
            claim([_key(request.connector, host.name)])
        before = conditions.ask(host)
        notices = [*_identity(before, subject.target, host.name)]
        sensor = power.sensor_of(request.meter, host)
        job = Job(
            data=subject.data,
            graph=subject.graph,
            target=subject.target,
            samples=subject.samples.arrays,
            threads=request.threads,
            warmup=request.warmup,
            runs=request.runs or DEFAULT_RUNS,
            seconds=request.seconds or DEFAULT_SECONDS,
            mask=_mask(before, request.cpus),
            sensors=(sensor.file,) if sensor and sensor.read_by_engine else (),
            idle_seconds=power.IDLE_SECONDS if sensor else 0,
            cache=request.cache,
            tool=request.tool,
            delegate=request.delegate,
            wheels=request.wheels,
            python=request.python,
            objective=request.objective,
        )
        with power.watching(sensor, host) as traces:
            run = engine(host, before.machine, job, listener)
        run = replace(run, traces=(*run.traces, *traces))
        after = conditions.ask(host)
        name = host.name
    spent = power.energy(run, sensor) if sensor and not before.emulated else None
    notices += [*subject.samples.notices, *run.notices, *_state(before, after)]
    return _measurement(request, subject, run, before, after, name, spent, notices)


def _key(connector: str, address: str) -> str:
    return key_of_phone(address) if connector == "adb" else key_of_host(address)


def _measurement(
    request: Request,
    subject: ComputerSubject,
    run: EngineRun,
    before: Conditions,
    after: Conditions,
    host: str,
    energy: ComputerEnergy | None,
    notices: list[str],
) -> ComputerMeasurement:
    validation = _compare(subject, run)
    if validation is not None and not run.exact and not validation.passed:
        notices.append(
            f"{validation.differing:,} of {validation.elements:,} output elements differ from the reference, by up to "
            f"{validation.max_abs_diff:g}: this engine's kernels round otherwise"
        )
    emulated = bool(before.emulated)
    if emulated:
        notices.append(f"emulated ({before.emulated}): outputs were compared, times are withheld")
    return ComputerMeasurement(
        target=subject.target.name,
        device=before.model or before.machine,
        host=host,
        engine=run.name,
        threads=1 if request.engine == "edgeq" else request.threads,
        cpus=request.cpus,
        model_path=subject.model_path,
        model_sha256=subject.graph.sha256,
        macs=run.macs,
        validation=validation,
        latency=None if emulated else Latency(run.run_ns, run.inferences or len(run.run_ns)),
        operators=() if emulated else run.operators,
        peak_rss_bytes=None if emulated else run.peak_rss_bytes,
        arena_bytes=run.arena_bytes,
        weights_bytes=run.weights_bytes,
        program_bytes=run.program_bytes,
        energy=energy,
        before=before,
        after=after,
        exact=run.exact,
        notices=tuple(notices),
    )


def _compare(subject: ComputerSubject, run: EngineRun) -> Validation | None:
    if not run.outputs:
        return None
    outputs = [tensor_info(subject.graph.tensors[index]) for index in subject.graph.outputs]
    comparison = Comparison(outputs)
    for number, (sample, got) in enumerate(zip(subject.samples.arrays, run.outputs, strict=True)):
        comparison.add(number, got, subject.reference(sample))
    return comparison.result(subject.samples.source, subject.reference_name)


def _mask(found: Conditions, cpus: str) -> int | None:
    try:
        return conditions.cluster_mask(found.cpus, cpus)
    except ValueError as wrong:
        there = ", ".join(f"{cpu.number} ({cpu.max_hz / 1e6:.0f} MHz)" for cpu in found.cpus)
        raise UsageError(
            f"--cpus {cpus}: {wrong}",
            next_step=f"big, little, all, or a list of numbers such as 0-3: there are {there}",
        ) from wrong


def _identity(found: Conditions, target: Target, host: str) -> tuple[str, ...]:
    """Whether it is the device that the target describes. Under emulation nothing is claimed of the device."""
    system = target.board.system
    pattern = system.model_pattern if system is not None else ""
    if not pattern or found.emulated or re.fullmatch(pattern, found.model):
        return ()
    if found.model:
        raise NegativeResult(
            f"says that it is '{found.model}', and {target.name} is one that says '{pattern}'",
            where=host,
            next_step="name the target that it is; see `edgeq targets list`",
            model=found.model,
        )
    return (f"the device doesn't say what it is: that it is a {target.board.title} is your word",)


def _state(before: Conditions, after: Conditions) -> tuple[str, ...]:
    """What may have disturbed the times."""
    told = []
    limits = tuple(dict.fromkeys((*before.throttling, *after.throttling)))
    if limits:
        told.append(f"the clock was limited: {', '.join(limits)}; times are longer than they need be")
    elif after.throttled_before:
        told.append(f"since it was switched on there has been: {', '.join(after.throttled_before)}")
    paced = sorted(_PACED_GOVERNORS & set(before.governors))
    if paced:
        told.append(f"governor {', '.join(paced)}: the clock may vary; `performance` holds it")
    if before.hottest_c is not None and after.hottest_c is not None and after.hottest_c > before.hottest_c + _WARMING_C:
        told.append(f"it warmed from {before.hottest_c:.0f} to {after.hottest_c:.0f} °C: longer runs may be slower")
    if before.cpus and before.load > _BUSY_LOAD * len(before.cpus):
        told.append(
            f"load {before.load:g} on {len(before.cpus)} cores before anything was started: others compute there"
        )
    if before.battery and "powered" in before.battery:
        told.append("the phone is being charged: a battery's figures don't hold for it")
    if before.screen == "Awake":
        told.append("the screen is on")
    return tuple(told)
