"""Profile: load inputs, run, compare every output byte with the reference, time, and tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgeq.codegen.tree import Manifest, TensorInfo
from edgeq.errors import DataError, DeviceError, NegativeResult
from edgeq.events import Listener, Progress, silent
from edgeq.measure import energy, steps
from edgeq.measure.answers import DeviceInfo, StandardRun, check_model, no_reset
from edgeq.measure.comparison import Comparison, real_values
from edgeq.measure.energy.measurement import Meter, Plan
from edgeq.measure.energy.meters import open_meter
from edgeq.measure.forms import form_of, on_the_wire
from edgeq.measure.inputs import Samples
from edgeq.measure.link import Link
from edgeq.measure.measurement import (
    CycleModel,
    Energy,
    LayerTime,
    Measurement,
    MemoryUse,
    Validation,
)
from edgeq.measure.session import INFERENCE_TIMEOUT_S, RUNS_PER_COMMAND, Session
from edgeq.target import Target

Array = npt.NDArray[Any]
Reference = Callable[[Sequence[Array]], Sequence[Array]]
"""Inputs → outputs, as the reference interpreter computes them."""

# Bytes of input that validation sends by default: about 12 s at 115200 baud (two hex digits a byte, ten bits
# each).
_DEFAULT_LOAD_BYTES = 64 * 1024
_DEFAULT_SAMPLES = 20
# Multiply-accumulates that validation on a virtual board computes by default: a few seconds.
_VIRTUAL_MACS = 20_000_000
# Bytes of input from which on a faster line saves more than changing to it takes.
_WORTH_SPEED_BYTES = 16 * 1024
# Inferences whose layers are asked for: their cycles vary little, and the list is longer than the outputs.
_LAYER_RUNS = 20
# How often a sample is sent to firmware without checksums when it arrives damaged.
_STANDARD_ATTEMPTS = 3
# Digits that MLPerf Tiny firmware prints in m-results are at least three after the point.
_PRINTED_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Setting:
    """How one profile is made.

    Attributes:
        port: the serial port or URL.
        baud: of a real port.
        provenance: "simulated" for anything that isn't hardware for certain.
        device: what is behind the port, for the report.
        runs: inferences to time; each validated sample is one of them.
        cycle_model: of the virtual board.
        memory: from the build, where there was one.
        symbols: of the build: name → (address, size); a crash is told with the function it was in.
        plan: how energy is measured; None where there is no meter.
        find: the port's name now, where it may come back under another one; None: it keeps its name.
        reconnect_s: how long to wait for a port that went away; 0, not at all.
    """

    port: str
    baud: int
    provenance: Literal["measured", "simulated"]
    device: str = ""
    runs: int = 1
    cycle_model: CycleModel | None = None
    memory: MemoryUse | None = None
    inference_timeout_s: float = INFERENCE_TIMEOUT_S
    symbols: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    plan: Plan | None = None
    find: Callable[[], str] | None = None
    reconnect_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured, and what it is held against.

    Attributes:
        reference: one inference of the reference interpreter; see `edgeq.reference.Reference.run`.
        reference_name: its name and version.
        model_path: for the report.
        precision: bits of the weights, of a model that has several precisions; 0 for one that has one.
        reset: makes the reference forget its state; None for a model that keeps none between inferences.
    """

    manifest: Manifest
    target: Target
    samples: Samples
    reference: Reference
    reference_name: str
    model_path: str = ""
    precision: int = 0
    reset: Callable[[], None] | None = None


def default_samples(manifest: Manifest, *, virtual: bool = False) -> int:
    """How many samples to validate when nobody says: 20, fewer where they take long, at least 2.

    Args:
        virtual: the device is a virtual board, which is a hundred times slower than silicon.
    """
    size = max(1, sum(t.size_bytes for t in manifest.inputs))
    most = min(_DEFAULT_SAMPLES, _DEFAULT_LOAD_BYTES // size)
    if virtual:
        most = min(most, _VIRTUAL_MACS // max(1, manifest.macs))
    return max(2, most)


def profile(
    setting: Setting,
    subject: Subject,
    *,
    trace: Callable[[str, str], None] | None = None,
    listener: Listener = silent,
) -> Measurement:
    """Measure the model on the device behind a port.

    The model's hash is asked first. With edgeq's firmware every answer has a checksum, and so has the input once it is
    there: what was damaged on the way is asked or sent again, and the notices say so. With other firmware, a sample
    whose results differ is looked at with `db print`, and sent again if it arrived damaged. A device that computes
    something else the first time stays wrong.

    Raises:
        NegativeResult: the device runs another model, or firmware for another target.
        ProtocolError, PortError: the device doesn't answer, or not as it should.
        DataError: there are no samples.
    """
    if not subject.samples.arrays:
        raise DataError("there are no samples to run", next_step="give --samples 1 or more, or --data")
    try:
        with ExitStack() as stack:
            # The meter first: it may be what powers the board.
            meter = stack.enter_context(open_meter(setting.plan)) if setting.plan else None
            find = setting.find or (lambda: setting.port)
            link = stack.enter_context(Link(find, setting.baud, setting.reconnect_s, trace, listener))
            measured = _converse(link, setting, subject, listener)
            if meter is not None and setting.plan is not None:
                measured = _metered(measured, link.session, meter, setting.plan, setting, listener)
    except DeviceError as failed:
        raise _located(failed, setting.symbols) from failed
    return measured


def _metered(
    measured: Measurement, session: Session, meter: Meter, plan: Plan, setting: Setting, listener: Listener
) -> Measurement:
    """The same with energy by a meter. The input that was loaded last is there still."""

    def infer(count: int) -> float:
        return session.infer(count, 1, timeout_s=setting.inference_timeout_s).elapsed_us * 1e-6

    latency_s = measured.median_ms / 1000
    return replace(measured, metered=energy.measure(plan, meter, latency_s, infer, measured.provenance, listener))


def _converse(link: Link, setting: Setting, subject: Subject, listener: Listener) -> Measurement:
    info = link.identify()
    if info is None:
        return _standard(link, setting, subject, listener)
    manifest = subject.manifest
    check_model(info, manifest.model_sha256, manifest.model_name, subject.target.name)
    _check_ends(info, manifest)
    if len(subject.samples.arrays) * sum(info.inputs) >= _WORTH_SPEED_BYTES:
        link.keep(lambda session: session.faster(info))
        link.on_return(lambda session: session.faster(info))
    if subject.precision:
        link.keep(lambda session: session.use_precision(subject.precision))
        link.on_return(lambda session: session.use_precision(subject.precision))
    return _full(link, info, setting, subject, listener)


def _full(link: Link, info: DeviceInfo, setting: Setting, subject: Subject, listener: Listener) -> Measurement:
    """With edgeq's own firmware: bytes, cycles, layers and stack."""
    samples, target = subject.samples, subject.target
    total = max(len(samples.arrays), setting.runs)
    cycles: list[int] = []
    layer_cycles: list[tuple[int, ...]] = []
    notices: list[str] = []
    comparison = Comparison(subject.manifest.outputs)
    if subject.reset is not None:
        link.keep(lambda session: steps.reset(session, subject))
        link.on_return(lambda session: steps.reset(session, subject))
        notices.append("the model keeps a state between inferences: the samples are one sequence, from a reset on")
    for number, sample in enumerate(samples.arrays):
        listener(Progress("profile", number, total, "inferences", f"sample {number + 1}"))
        with_layers = number < _LAYER_RUNS
        one = partial(steps.one, info=info, setting=setting, subject=subject, sample=sample, with_layers=with_layers)
        ran, expected, outputs, layers = link.keep(one)
        link.holding = link.session
        cycles.append(ran)
        comparison.add(number, outputs, expected)
        layer_cycles += [layers] if with_layers else []
    while len(cycles) < total:
        listener(Progress("profile", len(cycles), total, "inferences"))
        more = min(total - len(cycles), RUNS_PER_COMMAND)
        with_layers = len(layer_cycles) < _LAYER_RUNS
        ran_again, layers = link.keep(partial(steps.more, link, info, setting, subject, more, with_layers))
        cycles += ran_again
        layer_cycles += [layers] if with_layers else []
    stack_bytes = link.keep(partial(steps.stack_used, link, info, setting, subject))
    listener(Progress("profile", total, total, "inferences"))
    if link.reconnections:
        times = "once" if link.reconnections == 1 else f"{link.reconnections} times"
        notices.append(f"the port went away and came back {times}: what was cut off was done again; look at the cable")
    if link.repaired:
        notices.append(f"{link.repaired} times something was damaged on the line and sent again: look at the cable")
    if info.arena_bytes != subject.manifest.arena_bytes:
        notices.append(
            f"the firmware's arena is {info.arena_bytes:,} bytes, this edgeq's {subject.manifest.arena_bytes:,}: "
            "another version built it, whose kernels and sizes may differ from those shown"
        )
    elif info.build != subject.manifest.build:
        notices.append(
            f"the device runs build {info.build or '(it names none)'}, the one at hand is "
            f"{subject.manifest.build or '(it has no name)'}: other sources made it, whose kernels and sizes may "
            "differ from those shown; --firmware FOLDER names the right ones, `edgeq deploy` flashes these"
        )
    if info.clock_hz != target.clock_hz:
        notices.append(
            f"the firmware says {info.clock_hz:,} Hz, the target file {target.clock_hz:,} Hz; times use the former"
        )
    measured = _measurement(
        link.session.device_name,
        setting,
        subject,
        info.clock_hz,
        tuple(cycles),
        comparison.result(samples.source, subject.reference_name),
    )
    return replace(
        measured,
        model_verified=True,
        reconnections=link.reconnections,
        build=info.build,
        layers=_layer_times(subject.manifest, layer_cycles, notices),
        memory=_memory(setting, subject.manifest, stack_bytes, info.stack_bytes),
        notices=(*samples.notices, *notices),
    )


def _standard(link: Link, setting: Setting, subject: Subject, listener: Listener) -> Measurement:
    """With somebody else's MLPerf Tiny firmware: time by its clock, and the results it prints."""
    samples, target = subject.samples, subject.target
    if subject.reset is not None:
        raise no_reset(setting.port)
    each = max(1, -(-setting.runs // len(samples.arrays)))
    cycles: list[int] = []
    worst, differing, elements, first = 0.0, 0, 0, ""
    outputs, printed = subject.manifest.outputs, len(subject.manifest.outputs)
    form = form_of(link.keep(lambda session: session.model_name()))
    for number, sample in enumerate(samples.arrays):
        listener(Progress("profile", number, len(samples.arrays), "samples"))
        every = [real_values(a, o).ravel() for a, o in zip(subject.reference(sample), outputs, strict=True)]
        data = on_the_wire(sample, subject.manifest.inputs, form)
        one = partial(_infer_standard, setting=setting, data=data, outputs=every, count=each)
        run, expected, printed = link.keep(one)
        cycles.append(round(run.elapsed_us * 1e-6 / run.inferences * target.clock_hz))
        gaps = np.abs(np.asarray(run.results) - expected)
        wrong = ~(gaps <= _PRINTED_TOLERANCE)  # a device that prints nan is wrong too
        worst = max(worst, float(np.where(np.isnan(gaps), np.inf, gaps).max()))
        differing, elements = differing + int(wrong.sum()), elements + gaps.size
        if wrong.any() and not first:
            first = f"sample {number}, result {int(np.argmax(wrong))}"
    validation = Validation(
        len(samples.arrays),
        None,
        worst,
        differing,
        elements,
        subject.reference_name,
        samples.source,
        "printed results",
        first,
    )
    measured = _measurement(link.session.device_name, setting, subject, target.clock_hz, tuple(cycles), validation)
    return replace(
        measured,
        reconnections=link.reconnections,
        notices=(
            *samples.notices,
            "this firmware has no edgeq command: the model's hash could not be checked, cycles are its "
            "microseconds times the target's clock, and layers and stack are unknown",
            *_unprinted(outputs, printed),
            *(() if form == "stored" else (f"by its name it is of MLPerf Tiny: inputs were sent as {form}",)),
        ),
    )


def _infer_standard(
    session: Session, setting: Setting, data: bytes, outputs: Sequence[Array], count: int
) -> tuple[StandardRun, Array, int]:
    """One sample's run with the reference's values beside it; sent again where the device's copy was damaged."""
    for attempt in range(_STANDARD_ATTEMPTS):
        session.load(data)
        run = session.infer(count, 1, timeout_s=setting.inference_timeout_s)
        expected, printed = _printed(run.results, outputs, setting.port)
        agrees = bool((np.abs(np.asarray(run.results) - expected) <= _PRINTED_TOLERANCE).all())
        if agrees or attempt == _STANDARD_ATTEMPTS - 1 or session.loaded() in (data, b""):
            break
    return run, expected, printed


def _printed(results: Sequence[float], outputs: Sequence[Array], where: str) -> tuple[Array, int]:
    """The reference's values that a device's numbers stand for, and how many of the outputs these are.

    The MLPerf Tiny API has one list of results and doesn't say what a model of several outputs puts there: all
    outputs one after the other are taken, or the first of them alone.

    Raises:
        NegativeResult: as many numbers as neither of them has.
    """
    sizes = [output.size for output in outputs]
    for count in (len(outputs), 1):
        if len(results) == sum(sizes[:count]):
            return np.concatenate(outputs[:count]), count
    several = f" ({' + '.join(map(str, sizes))} in {len(sizes)} outputs)" if len(sizes) > 1 else ""
    raise NegativeResult(
        f"the device gives {len(results)} results, the model has {sum(sizes)}{several}",
        where=where,
        next_step="another model is on the device: flash this one"
        + (", or edgeq's firmware, whose outputs are all compared" if several else ""),
    )


def _unprinted(outputs: Sequence[TensorInfo], printed: int) -> tuple[str, ...]:
    if printed == len(outputs):
        return ()
    rest = ", ".join(f"'{output.name}'" for output in outputs[printed:])
    return (f"the firmware prints only '{outputs[0].name}': {rest} could not be compared",)


def _measurement(
    device_name: str,
    setting: Setting,
    subject: Subject,
    clock_hz: int,
    cycles: tuple[int, ...],
    validation: Validation,
) -> Measurement:
    """What any firmware can tell."""
    manifest = subject.manifest
    return Measurement(
        target=subject.target.name,
        provenance=setting.provenance,
        device=setting.device or device_name,
        port=setting.port,
        model_path=subject.model_path,
        model_sha256=manifest.model_sha256,
        model_verified=False,
        macs=manifest.macs,
        clock_hz=clock_hz,
        cycles=cycles,
        validation=validation,
        layers=(),
        memory=_memory(setting, manifest, None, None),
        energy=estimate_energy(subject.target, median(cycles) / clock_hz, clock_hz),
        cycle_model=setting.cycle_model if setting.provenance == "simulated" else None,
        precision=subject.precision,
        optimize=subject.manifest.optimize,
        choices=subject.manifest.choices,
    )


def _located(failed: DeviceError, symbols: Mapping[str, tuple[int, int]]) -> DeviceError:
    """The same error, with the function that a crash's program counter lies in."""
    counter = re.search(r"pc=0x([0-9a-fA-F]{1,8})", str(failed.facts.get("fault", "")))
    if counter is None:
        return failed
    pc = int(counter.group(1), 16)
    inside = [name for name, (start, size) in symbols.items() if size and start <= pc < start + size]
    if not inside:
        return failed
    return DeviceError(
        f"{failed.what}, in {inside[0]}",
        where=failed.where,
        next_step=failed.next_step,
        **{**failed.facts, "symbol": inside[0]},
    )


def estimate_energy(target: Target, seconds: float, clock_hz: int) -> Energy | None:
    """The board's power while inferring × time; None where its power is unknown or known at another clock.

    Power while inferring is constant to a few percent across networks on one board (`tolerance_percent`).
    """
    power = target.board.power
    if power is None or power.clock_hz != clock_hz:
        return None
    return Energy(power.active_mw * seconds * 1000.0, power.active_mw, power.tolerance_percent, power.source)


def _layer_times(manifest: Manifest, runs: Sequence[tuple[int, ...]], notices: list[str]) -> tuple[LayerTime, ...]:
    if not runs or not runs[0]:
        return ()
    if len(runs[0]) != len(manifest.layers):
        notices.append(f"the device counts {len(runs[0])} layers, the manifest {len(manifest.layers)}: none are shown")
        return ()
    return tuple(LayerTime(layer, round(median(run[i] for run in runs))) for i, layer in enumerate(manifest.layers))


def _memory(setting: Setting, manifest: Manifest, stack: int | None, reserved: int | None) -> MemoryUse:
    built = setting.memory
    return MemoryUse(
        arena_bytes=built.arena_bytes if built else manifest.arena_bytes,
        weights_bytes=built.weights_bytes if built else manifest.weights_bytes,
        stack_bytes=stack,
        stack_reserved_bytes=reserved if reserved is not None else (built.stack_reserved_bytes if built else None),
        ram_bytes=built.ram_bytes if built else None,
        code_bytes=built.code_bytes if built else None,
        parameter_bytes=built.parameter_bytes if built else None,
        flash_bytes=built.flash_bytes if built else None,
    )


def _check_ends(info: DeviceInfo, manifest: Manifest) -> None:
    expected = tuple(t.size_bytes for t in manifest.inputs), tuple(t.size_bytes for t in manifest.outputs)
    if (info.inputs, info.outputs) != expected:
        raise NegativeResult(
            f"the firmware's inputs and outputs are {info.inputs} and {info.outputs} bytes, the model's "
            f"{expected[0]} and {expected[1]}",
            next_step="build and flash it again with this version of edgeq",
        )
