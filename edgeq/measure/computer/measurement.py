"""What a model did on a computer or phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeq.measure.computer.conditions import Conditions
from edgeq.measure.measurement import Validation


@dataclass(frozen=True)
class Latency:
    """Wall time per inference, in nanoseconds, in order. On a computer a distribution: others run there too.

    Attributes:
        inferences: how many were timed; of very many, `run_ns` has the first.
    """

    run_ns: tuple[int, ...]
    inferences: int

    def percentile_ms(self, percent: float) -> float:
        """The time that so many percent of the inferences stay within."""
        return float(np.percentile(self.run_ns, percent)) / 1e6

    @property
    def mean_ms(self) -> float:
        """The mean."""
        return float(np.mean(self.run_ns)) / 1e6

    def to_json(self) -> dict[str, object]:
        """In milliseconds."""
        named = {"min": 0, "median": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
        ms = {name: round(self.percentile_ms(percent), 6) for name, percent in named.items()}
        return {"runs": self.inferences, "provenance": "measured", "ms": {**ms, "mean": round(self.mean_ms, 6)}}


@dataclass(frozen=True)
class OperatorTime:
    """One operator; `macs` and `kernel` only where edgeq's own engine ran it."""

    index: int
    op: str
    name: str
    ns: int
    macs: int = 0
    kernel: str = ""


@dataclass(frozen=True)
class ComputerEnergy:
    """Energy per inference from a sensor of the computer.

    Attributes:
        uj_per_inference: all that flows while inferring.
        above_idle_uj: the same less what flows without inference; None where idle wasn't seen.
        uncertainty_uj: half the 95 % interval of the mean power over the window, as energy.
        provenance: "measured" by a sensor in the supply line; "estimated" where its readings are too few or partial.
        mean_mw, idle_mw: power in the two windows.
        samples: readings in the inference window.
        source: the sensor, and what it doesn't see.
    """

    uj_per_inference: float
    above_idle_uj: float | None
    uncertainty_uj: float
    provenance: Literal["measured", "estimated"]
    mean_mw: float
    idle_mw: float | None
    samples: int
    source: str

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return vars(self)


@dataclass(frozen=True)
class ComputerMeasurement:
    """What `profile` gives for a computer or phone.

    Attributes:
        engine: what ran the model: "edgeq", or a runtime with its version and delegate.
        threads: that it may use; `cpus`: which cores, as asked for ("all", "big", "0-3").
        latency: None under emulation, where times mean nothing.
        validation: of the outputs; engines other than edgeq's own may differ from the reference by their kernels'
            rounding, which is told and is no failure.
        peak_rss_bytes: of the whole process on the device; None where nothing tells.
        before, after: the device's state around the measurement.
        exact: whether this engine promises the reference's bytes.
    """

    target: str
    device: str
    host: str
    engine: str
    threads: int
    cpus: str
    model_path: str
    model_sha256: str
    macs: int
    validation: Validation | None
    latency: Latency | None
    operators: tuple[OperatorTime, ...]
    peak_rss_bytes: int | None
    arena_bytes: int | None
    weights_bytes: int | None
    program_bytes: int | None
    energy: ComputerEnergy | None
    before: Conditions
    after: Conditions
    exact: bool
    notices: tuple[str, ...] = ()

    @property
    def provenance(self) -> str:
        """ "measured"; "emulated" where no time is given."""
        return "emulated" if self.before.emulated else "measured"

    @property
    def passed(self) -> bool:
        """Whether outputs are as this engine promises."""
        return self.validation is None or self.validation.passed or not self.exact

    def to_json(self) -> dict[str, object]:
        """The body of `profile --json`; the command line adds schema_version, command and tool_version."""
        v = self.validation
        return {
            "target": self.target,
            "provenance": self.provenance,
            "device": {"name": self.device, "host": self.host},
            "engine": {"name": self.engine, "threads": self.threads, "cpus": self.cpus, "exact": self.exact},
            "model": {"path": self.model_path, "sha256": self.model_sha256, "macs": self.macs},
            "validation": None if v is None else {**v.to_json(), "passed": self.passed},
            "latency": None if self.latency is None else self.latency.to_json(),
            "layers": [
                {"index": o.index, "op": o.op, "name": o.name, "macs": o.macs, "ns": o.ns, "kernel": o.kernel}
                for o in self.operators
            ],
            "memory": self._memory(),
            "energy": None if self.energy is None else self.energy.to_json(),
            "conditions": {"before": self.before.to_json(), "after": self.after.to_json()},
            "notices": list(self.notices),
        }

    def _memory(self) -> Mapping[str, int | None]:
        return {
            "peak_rss_bytes": self.peak_rss_bytes,
            "arena_bytes": self.arena_bytes,
            "weights_bytes": self.weights_bytes,
            "program_bytes": self.program_bytes,
        }
