"""Measurement: what a model did on a device, every figure with its provenance."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Literal

from edgeq.codegen.tree import Layer
from edgeq.measure.energy.measurement import MeteredEnergy
from edgeq.units import cycles_to_ms


@dataclass(frozen=True)
class CycleModel:
    """The model of a core that a virtual board counts cycles with.

    Attributes:
        known_error: how far its figures are known to be from silicon, in words; "" if nobody has compared.
    """

    name: str
    known_error: str = ""


@dataclass(frozen=True)
class Validation:
    """Device outputs against the reference interpreter.

    Attributes:
        compared: "output bytes", or "printed results" for firmware that only prints numbers.
        bit_exact: every compared byte equal; None where only printed numbers could be compared.
        max_abs_diff: the largest difference, in steps of the output's type; real units for printed results.
        differing: how many of `elements` output elements differ.
        first_difference: where the first one is, in words; "" if none.
        reference: the interpreter, e.g. "tflite-runtime 2.14.0 BUILTIN_REF".
    """

    samples: int
    bit_exact: bool | None
    max_abs_diff: float
    differing: int
    elements: int
    reference: str
    inputs: str
    compared: Literal["output bytes", "printed results"] = "output bytes"
    first_difference: str = ""

    @property
    def passed(self) -> bool:
        """Whether the device computes what the reference does."""
        return self.bit_exact is True or (self.bit_exact is None and self.differing == 0)

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return {
            "samples": self.samples,
            "bit_exact": self.bit_exact,
            "passed": self.passed,
            "max_abs_diff": self.max_abs_diff,
            "differing_elements": self.differing,
            "elements": self.elements,
            "compared": self.compared,
            "first_difference": self.first_difference,
            "reference": self.reference,
            "inputs": self.inputs,
        }


@dataclass(frozen=True)
class LayerTime:
    """One layer with its cycles: the median over the timed inferences."""

    layer: Layer
    cycles: int


@dataclass(frozen=True)
class MemoryUse:
    """Bytes. `stack_bytes` is the painted high-water mark; None where nothing can tell.

    Attributes:
        ram_bytes: static data, arena and the *reserved* stack, from the ELF.
    """

    arena_bytes: int
    weights_bytes: int
    stack_bytes: int | None = None
    stack_reserved_bytes: int | None = None
    ram_bytes: int | None = None
    code_bytes: int | None = None
    flash_bytes: int | None = None
    parameter_bytes: int | None = None


@dataclass(frozen=True)
class Energy:
    """Energy per inference in µJ: the board's known power × time, which is arithmetic, not a measurement."""

    uj_per_inference: float
    active_mw: float
    tolerance_percent: float
    source: str


@dataclass(frozen=True)
class Measurement:
    """What `profile` gives.

    Attributes:
        provenance: how latency, outputs and stack came about.
        cycles: of each timed inference, in order; from µs × clock where the firmware counts only time.
        build: which sources the device's firmware was made from; "" where it doesn't tell.
        layers: () where the firmware doesn't tell.
        notices: what a reader should know, one sentence each.
        reconnections: how often the port went away in the midst, and came back.
        precision: bits of the weights that were used, of a model that has several precisions; 0 for one that has one.
        metered: energy by a meter in the supply, where there was one; it goes before the estimate.
        optimize: what the firmware's kernels were chosen for: a value of `edgeq.kernels.Objective`.
        choices: what was weighed for that, one sentence each.
    """

    target: str
    provenance: Literal["measured", "simulated"]
    device: str
    port: str
    model_path: str
    model_sha256: str
    model_verified: bool
    macs: int
    clock_hz: int
    cycles: tuple[int, ...]
    validation: Validation
    layers: tuple[LayerTime, ...]
    memory: MemoryUse
    energy: Energy | None
    cycle_model: CycleModel | None = None
    notices: tuple[str, ...] = ()
    reconnections: int = 0
    build: str = ""
    precision: int = 0
    metered: MeteredEnergy | None = None
    optimize: str = "balanced"
    choices: tuple[str, ...] = ()

    @property
    def median_cycles(self) -> int:
        """Median over the timed inferences."""
        return round(median(self.cycles))

    @property
    def median_ms(self) -> float:
        """The same in milliseconds."""
        return cycles_to_ms(self.median_cycles, self.clock_hz)

    def to_json(self) -> dict[str, object]:
        """The body of `profile --json`; the command line adds schema_version, command and tool_version."""
        return {
            "target": self.target,
            "provenance": self.provenance,
            "cycle_model": None
            if self.cycle_model is None
            else {"name": self.cycle_model.name, "known_error": self.cycle_model.known_error},
            "device": {"name": self.device, "port": self.port, "build": self.build},
            "model": {
                "path": self.model_path,
                "sha256": self.model_sha256,
                "macs": self.macs,
                "verified_on_device": self.model_verified,
                **({"precision_bits": self.precision} if self.precision else {}),
            },
            "validation": self.validation.to_json(),
            "latency": self._latency_json(),
            "optimize": self.optimize,
            "choices": list(self.choices),
            "layers": [
                {
                    "index": t.layer.index,
                    "op": t.layer.op,
                    "name": t.layer.name,
                    "macs": t.layer.macs,
                    "cycles": t.cycles,
                    "kernel": t.layer.kernel,
                    "why": t.layer.why,
                }
                for t in self.layers
            ],
            "memory": self._memory_json(),
            "energy": self._energy_json(),
            "notices": list(self.notices),
            "reconnections": self.reconnections,
        }

    def _energy_json(self) -> dict[str, object] | None:
        if self.metered is not None:
            return self.metered.to_json()
        if self.energy is None:
            return None
        return {
            "uj_per_inference": round(self.energy.uj_per_inference, 3),
            "provenance": "estimated",
            "source": self.energy.source,
            "active_mw": self.energy.active_mw,
            "tolerance_percent": self.energy.tolerance_percent,
        }

    def _latency_json(self) -> dict[str, object]:
        low, high = min(self.cycles), max(self.cycles)
        ms = {
            "min": cycles_to_ms(low, self.clock_hz),
            "median": self.median_ms,
            "max": cycles_to_ms(high, self.clock_hz),
        }
        return {
            "clock_hz": self.clock_hz,
            "runs": len(self.cycles),
            "provenance": self.provenance,
            "cycles": {"min": low, "median": self.median_cycles, "max": high},
            "ms": {k: round(v, 6) for k, v in ms.items()},
        }

    def _memory_json(self) -> dict[str, object]:
        m = self.memory
        return {
            "arena_bytes": m.arena_bytes,
            "stack_bytes": m.stack_bytes,
            "stack_reserved_bytes": m.stack_reserved_bytes,
            "ram_bytes": m.ram_bytes,
            "weights_bytes": m.weights_bytes,
            "parameter_bytes": m.parameter_bytes,
            "code_bytes": m.code_bytes,
            "flash_bytes": m.flash_bytes,
        }
