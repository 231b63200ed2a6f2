"""Latency and energy of an inference before anything is built: estimated, with an error band, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeq.selection.cost import Costs, costs, cycles
from edgeq.target import Target
from edgeq.units import cycles_to_ms


@dataclass(frozen=True)
class LayerCounts:
    """A layer as the costs see it.

    Attributes:
        kernel: its C function; "" when it needs none and takes no time.
        counted: see `edgeq.selection.cost.counts`.
    """

    index: int
    kernel: str
    counted: Mapping[str, float]


@dataclass(frozen=True)
class LayerEstimate:
    """Estimated cycles of a layer, and how far they may be off."""

    index: int
    kernel: str
    cycles: float
    error_percent: float


@dataclass(frozen=True)
class Estimate:
    """Estimated latency.

    Attributes:
        error_percent: of latency, against what the virtual board gives: the layers' bands, weighted by their cycles.
        energy_uj: power while inferring × time; None where the target's power isn't known at its clock.
        energy_error_percent: latency's band and the power's tolerance together.
        source: how the costs came about.
    """

    clock_hz: int
    layers: tuple[LayerEstimate, ...]
    error_percent: float
    energy_uj: float | None
    energy_error_percent: float | None
    source: str

    @property
    def cycles(self) -> int:
        """Of one inference."""
        return round(sum(layer.cycles for layer in self.layers))

    @property
    def ms(self) -> float:
        """Of one inference, at the target's clock."""
        return cycles_to_ms(self.cycles, self.clock_hz)

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "provenance": "estimated",
            "source": self.source,
            "clock_hz": self.clock_hz,
            "cycles": self.cycles,
            "ms": round(self.ms, 6),
            "error_percent": self.error_percent,
            "energy_uj": self.energy_uj if self.energy_uj is None else round(self.energy_uj, 3),
            "energy_error_percent": self.energy_error_percent,
            "layers": [
                {
                    "index": layer.index,
                    "kernel": layer.kernel,
                    "cycles": round(layer.cycles),
                    "error_percent": layer.error_percent,
                }
                for layer in self.layers
            ],
        }


@dataclass(frozen=True)
class Unknown:
    """There is no estimate, and why."""

    reason: str

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {"provenance": None, "reason": self.reason}


NOT_ASKED = Unknown("it wasn't asked for")


def estimate(layers: Sequence[LayerCounts], target: Target, ram_bytes: int) -> Estimate | Unknown:
    """What an inference takes on a target; never for a core or a memory that the costs weren't fitted on.

    Args:
        ram_bytes: all that the firmware uses: it decides whether slower RAM is touched.
    """
    known = costs()
    reason = _why_not(known, target, ram_bytes)
    if reason:
        return Unknown(reason)
    unfitted = sorted({layer.kernel for layer in layers if layer.kernel and layer.kernel not in known.kernel})
    if unfitted:
        return Unknown(f"no cost was fitted for {', '.join(unfitted)}")
    found = tuple(_layer(known, layer) for layer in layers)
    total = sum(layer.cycles for layer in found)
    error = sum(layer.cycles * layer.error_percent for layer in found) / total if total else 0.0
    power = target.board.power
    energy = energy_error = None
    if power is not None and power.clock_hz == target.clock_hz:
        energy = power.active_mw * cycles_to_ms(total, target.clock_hz)
        energy_error = round(error + power.tolerance_percent, 1)
    return Estimate(target.clock_hz, found, round(error, 1), energy, energy_error, known.source)


def _layer(known: Costs, layer: LayerCounts) -> LayerEstimate:
    if not layer.kernel:
        return LayerEstimate(layer.index, "", 0.0, 0.0)
    cost = known.kernel[layer.kernel]
    return LayerEstimate(layer.index, layer.kernel, cycles(cost, layer.counted), cost.error_percent)


def _why_not(known: Costs, target: Target, ram_bytes: int) -> str:
    """Why the costs don't hold for a target; "" when they do."""
    if target.core.name != known.core:
        return f"costs were fitted on {known.core} only"
    timing, fitted = target.soc.flash_timing, known.memory
    if timing is None:
        return "its flash's timing isn't described, and costs depend on it"
    shape = (target.wait_states, timing.read_bytes, timing.cache_line_bytes, timing.data_cache_lines)
    if shape != (fitted.wait_states, fitted.read_bytes, fitted.cache_line_bytes, fitted.data_cache_lines):
        return (
            f"costs were fitted with {fitted.wait_states} wait states, reads of {fitted.read_bytes} bytes and "
            f"{fitted.data_cache_lines} cache lines of {fitted.cache_line_bytes}; its flash is another"
        )
    slow = target.soc.slow_reads
    limit = slow.base - target.region_for("arena").base if slow is not None else None
    if limit is not None and ram_bytes > min(limit, fitted.fast_ram_bytes):
        return f"more than {limit:,} bytes of RAM are used, and costs weren't fitted on the slower part"
    return ""
