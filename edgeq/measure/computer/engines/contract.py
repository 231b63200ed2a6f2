"""What an engine is given and gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgeq.errors import DeviceError
from edgeq.events import Listener
from edgeq.graph import Graph
from edgeq.kernels import Objective
from edgeq.measure.computer.measurement import OperatorTime
from edgeq.runners.hosts import Answer, Host
from edgeq.target import Target

# For one step on the device; a slow board with a large model takes minutes.
STEP_TIMEOUT_S = 1800.0
_ERROR_CHARACTERS = 1500


@dataclass(frozen=True, eq=False)
class Job:
    """One measurement.

    Attributes:
        data: the `.tflite`.
        samples: inputs, one tuple of arrays per inference to compare; the first is timed.
        warmup: inferences before those that are timed.
        runs, seconds: timed are so many, or as many as fill so much time, whichever is more.
        mask: affinity, None for all cores.
        sensors: files on the device to read meanwhile; `idle_seconds` of them before.
        cache: of this machine, for what is compiled.
        tool: a program of the user's that the engine is (benchmark_model), on this machine.
        delegate: of that program: "xnnpack", "gpu", "nnapi", "none".
        wheels: a folder of wheels for a device without a way to a package index.
        python: an interpreter on the device that has the runtime already; "" to make an environment.
        objective: what kernels are chosen for, of edgeq's own engine.
    """

    data: bytes
    graph: Graph
    target: Target
    samples: Sequence[Sequence[npt.NDArray[Any]]]
    threads: int
    warmup: int
    runs: int
    seconds: int
    mask: int | None
    sensors: tuple[str, ...] = ()
    idle_seconds: int = 0
    cache: Path | None = None
    tool: Path | None = None
    delegate: str = "none"
    wheels: Path | None = None
    python: str = ""
    objective: Objective = Objective.BALANCED

    @property
    def input_bytes(self) -> bytes:
        """All samples, one after the other."""
        return b"".join(np.ascontiguousarray(a).tobytes() for sample in self.samples for a in sample)


@dataclass(frozen=True)
class SensorTrace:
    """Readings of one file: nanoseconds of the device's monotonic clock, and the number that stood there."""

    file: str
    samples: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class EngineRun:
    """What an engine did.

    Attributes:
        name: engine, version, delegate.
        exact: whether it promises the reference's bytes.
        outputs: per sample, each output's bytes; () where the engine doesn't give them.
        run_ns: each timed inference; of very many, the first.
        inferences: how many there were in the window; 0 for as many as `run_ns` has.
        window_ns, idle_ns: start and end, on the clock of the sensors' readings.
    """

    name: str
    exact: bool
    outputs: tuple[tuple[bytes, ...], ...]
    run_ns: tuple[int, ...]
    operators: tuple[OperatorTime, ...] = ()
    peak_rss_bytes: int | None = None
    arena_bytes: int | None = None
    weights_bytes: int | None = None
    program_bytes: int | None = None
    macs: int = 0
    inferences: int = 0
    window_ns: tuple[int, int] = (0, 0)
    idle_ns: tuple[int, int] | None = None
    traces: tuple[SensorTrace, ...] = ()
    notices: tuple[str, ...] = ()


class Engine(Protocol):
    """A row of `edgeq.registry.ENGINES`."""

    def __call__(self, host: Host, machine: str, job: Job, listener: Listener) -> EngineRun:
        """Bring the model there, run it on every sample, and time it.

        Raises:
            UnsupportedError: it can't run this model, or not there.
            DeviceError: it failed; its own words.
        """
        ...


def pinned(argv: Sequence[str], mask: int | None) -> list[str]:
    """A command that stays on the cores of a mask; `taskset` of util-linux and of Android's toybox take it in hex."""
    return list(argv) if mask is None else ["taskset", f"{mask:x}", *argv]


def require_success(said: Answer, what: str, host: Host) -> None:
    """Raise DeviceError with the program's own words when it failed."""
    if said.exit_code == 0:
        return
    words = (said.stderr or said.stdout).decode(errors="replace").strip()[-_ERROR_CHARACTERS:]
    killed = " (killed: too little memory?)" if said.exit_code in (137, -9) else ""
    raise DeviceError(
        f"{what} ended with {said.exit_code}{killed}:\n{words}",
        where=host.name,
        next_step="the lines above are the program's own",
        exit_code=said.exit_code,
        stderr=words,
    )


def split_outputs(data: bytes, sizes: Sequence[int], samples: int, host: Host) -> tuple[tuple[bytes, ...], ...]:
    """A stream of all outputs of all samples, per sample and output.

    Raises:
        DeviceError: it has another length.
    """
    if len(data) != sum(sizes) * samples:
        raise DeviceError(
            f"the program gave {len(data):,} bytes of outputs, {samples} samples have {sum(sizes) * samples:,}",
            where=host.name,
            next_step="was the connection or the program cut off?",
        )
    found = []
    at = 0
    for _ in range(samples):
        sample = []
        for size in sizes:
            sample.append(data[at : at + size])
            at += size
        found.append(tuple(sample))
    return tuple(found)
