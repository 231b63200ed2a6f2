"""What a repair is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edgeq.graph import Graph, Op
from edgeq.importers import Model
from edgeq.quantize.data import Dataset
from edgeq.quantize.recipes import four_bit
from edgeq.quantize.schemes import Scheme


@dataclass(frozen=True, eq=False)
class Setting:
    """What a repair may know of the quantization to come.

    Attributes:
        data: typical samples; None where there are none.
        scheme: of the model.
        layers: other schemes, by the name of the operator's first output.
        memo: what was measured on `data`, so that repairs which ask the same of one model measure once.
    """

    data: Dataset | None
    scheme: Scheme
    layers: Mapping[str, Scheme]
    memo: dict[str, object] = field(default_factory=dict)

    def weight_bits(self, graph: Graph, op: Op) -> int:
        """How many bits the weights of `op` will have; 32 where they stay in float."""
        scheme = self.layers.get(graph.output_of(op).name, self.scheme)
        if scheme.weight_bits == 4:
            return 4 if four_bit(op, scheme) else 8
        return scheme.weight_bits


class Repair(Protocol):
    """A row of `edgeq.registry.REPAIRS`: a float model in, a float model out."""

    @property
    def name(self) -> str:
        """As in the registry."""

    @property
    def exact(self) -> bool:
        """Whether the float model's outputs stay as they were, but for rounding."""

    @property
    def needs_data(self) -> bool:
        """Whether it looks at samples."""

    def apply(self, model: Model, setting: Setting) -> Model:
        """The repaired model; `model` itself where there is nothing to repair."""
