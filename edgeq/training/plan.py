"""What is decided before training and doesn't change in it: the configuration of the quantized layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgeq.training.network import Network, network_of_json
from edgeq.training.ranges import Bits, Group, groups_of


@dataclass(frozen=True)
class Plan:
    """A folded network and how it is quantized.

    Attributes:
        scheme: by name; `bits` are its widths.
        target: what it was prepared for, "" for any.
        kernel_shapes: by node, as Keras lays kernels out.
        trainable_ranges: ranges are learned by gradient; else they follow a moving average with `momentum`.
        masked: nodes whose zeros stay zero.
        clipped: nodes whose kernels are clipped to a learned limit for each channel.
    """

    network: Network
    scheme: str
    bits: Bits
    target: str
    kernel_shapes: Mapping[str, tuple[int, ...]]
    trainable_ranges: bool
    momentum: float
    masked: tuple[str, ...]
    clipped: tuple[str, ...]

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """The group of each node's output."""
        return groups_of(self.network, self.bits)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "network": self.network.to_json(),
            "scheme": self.scheme,
            "weight_bits": self.bits.weights,
            "activation_bits": self.bits.activations,
            "target": self.target,
            "kernel_shapes": {name: list(shape) for name, shape in self.kernel_shapes.items()},
            "trainable_ranges": self.trainable_ranges,
            "momentum": self.momentum,
            "masked": list(self.masked),
            "clipped": list(self.clipped),
        }


def plan_of_json(given: Mapping[str, Any]) -> Plan:
    """The inverse of `Plan.to_json`."""
    return Plan(
        network_of_json(given["network"]),
        str(given["scheme"]),
        Bits(given["weight_bits"], given["activation_bits"]),
        str(given["target"]),
        {name: tuple(shape) for name, shape in given["kernel_shapes"].items()},
        bool(given["trainable_ranges"]),
        float(given["momentum"]),
        tuple(given["masked"]),
        tuple(given["clipped"]),
    )
