"""What a search for mixed precision is asked, and what it hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeq.quantize.products import Evaluation

SCHEMES = ("static_wi4_ai8", "static_wi8_ai8", "static_wi8_ai16")
"""The options of a layer, in the order of `edgeq.quantize.mixed.search`."""
SHORT = ("4", "8", "16")
CostSource = Literal["estimated", "simulated", "assumed"]
DropKind = Literal["accuracy", "disagreement", "relative error"]


@dataclass(frozen=True)
class Goal:
    """Bounds; at least one.

    Attributes:
        max_drop: of accuracy against float, a share (0.005 is half a percent point). Without labels, share of first
            choices that differ from float's; of models that aren't classifiers, error over signal of the outputs.
        max_latency_ms: of an inference on the target.
        max_flash_bytes: of the whole firmware, as `edgeq check` counts it; of the constants on other runtimes.
    """

    max_drop: float | None = None
    max_latency_ms: float | None = None
    max_flash_bytes: int | None = None


@dataclass(frozen=True)
class LayerBits:
    """A layer with what was chosen for it.

    Attributes:
        op: its index in the float graph.
        bits: "4" (weights), "8" or "16" (activations).
        flash_bytes, cycles, noise: for each of the three; None where it isn't possible. Noise is error over signal at
            the network's output when only this layer has these bits and all others are float.
    """

    op: int
    label: str
    bits: str
    flash_bytes: tuple[int | None, ...]
    cycles: tuple[float | None, ...]
    noise: tuple[float | None, ...]


@dataclass(frozen=True)
class Point:
    """One assignment of bits.

    Attributes:
        bits: of each layer, in order.
        flash_bytes, latency_ms: as found where the model was converted so, else predicted from the layers' costs;
            latency None where only its relation to 8 bits is known.
        cost: predicted: flash and latency in equal parts, 1 for 8 bits everywhere.
        predicted_noise: sum of the layers' noise.
        drop: as it turned out when the model was converted so; None where it wasn't.
        chosen: whether it is the answer.
    """

    bits: tuple[str, ...]
    flash_bytes: int
    latency_ms: float | None
    cost: float
    predicted_noise: float
    drop: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class MixedReport:
    """How bits were chosen.

    Attributes:
        drop_kind: what `max_drop` and `Point.drop` mean here.
        repairs, calibration: what was done to the float model first, and how ranges were chosen.
        front: all that is worth having, cheapest first; `tried` of these were converted and run.
        eight: 8 bits everywhere, to compare.
        search_samples: on which drops were found; `evaluation` is on others, held back from all of that.
        costs: how cycles came about. "assumed" means relative: 16-bit activations twice, 4-bit weights as 8 bits.
        optimality: what can be said of it.
    """

    target: str
    goal: Goal
    drop_kind: DropKind
    repairs: tuple[str, ...]
    calibration: str
    layers: tuple[LayerBits, ...]
    front: tuple[Point, ...]
    eight: Point
    tried: int
    search_samples: int
    costs: CostSource
    optimality: str
    evaluation: Evaluation
    notices: tuple[str, ...] = ()

    @property
    def chosen(self) -> Point:
        """The answer."""
        return next(point for point in self.front if point.chosen)

    def to_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "target": self.target,
            "goal": self.goal,
            "drop_kind": self.drop_kind,
            "repairs": list(self.repairs),
            "calibration": self.calibration,
            "layers": list(self.layers),
            "front": list(self.front),
            "eight": self.eight,
            "tried": self.tried,
            "search_samples": self.search_samples,
            "costs": self.costs,
            "optimality": self.optimality,
            "notices": list(self.notices),
        }
