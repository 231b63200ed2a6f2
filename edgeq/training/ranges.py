"""Which tensors of the quantized file share a scale and zero point, and which have theirs from the runtime.

The rules are TensorFlow Lite's, as edgeq's converter applies them: operators that move data keep their input's
parameters, a concatenation's inputs take its output's, SOFTMAX, LOGISTIC and TANH have fixed ones. In training one
range is learned for each group, and the file gets just that range for each of the group's tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgeq.training.network import RELUS, SAME_SCALE, Network, Node


@dataclass(frozen=True)
class Bits:
    """Widths of one scheme.

    Attributes:
        weights: of CONV_2D and FULLY_CONNECTED, 4 or 8; a DEPTHWISE_CONV_2D always has 8.
        activations: 8 (asymmetric) or 16 (symmetric).
    """

    weights: Literal[4, 8] = 8
    activations: Literal[8, 16] = 8

    def of_weights(self, node: Node) -> int:
        """Of this node's kernel."""
        return 8 if node.kind == "DEPTHWISE_CONV_2D" else self.weights


@dataclass(frozen=True)
class Fixed:
    """Parameters that the runtime prescribes for an operator's output."""

    scale: float
    zero_point: int


_FIXED: Mapping[tuple[str, int], Fixed] = {
    ("SOFTMAX", 8): Fixed(1 / 256, -128),
    ("LOGISTIC", 8): Fixed(1 / 256, -128),
    ("TANH", 8): Fixed(1 / 128, 0),
    ("SOFTMAX", 16): Fixed(1 / 32768, 0),
    ("LOGISTIC", 16): Fixed(1 / 32768, 0),
    ("TANH", 16): Fixed(1 / 32768, 0),
}


@dataclass(frozen=True)
class Group:
    """Tensors with one range.

    Attributes:
        name: the first member.
        members: nodes whose outputs are quantized with it.
        fixed: where the range isn't learned.
        never_negative: all members are outputs of a ReLU, so the range begins at 0.
    """

    name: str
    members: tuple[str, ...]
    fixed: Fixed | None
    never_negative: bool


def groups_of(network: Network, bits: Bits) -> Mapping[str, Group]:
    """The group of every node's output, by node name."""
    union = _Union(node.name for node in network.nodes)
    nodes = network.by_name
    fixed = {n.name: f for n in network.nodes if (f := _FIXED.get((n.kind, bits.activations))) is not None}
    for node in network.nodes:
        if node.kind in SAME_SCALE:
            union.join(node.inputs[0], node.name)
    bound = {union.find(name): found for name, found in fixed.items()}
    for node in network.nodes:
        if node.kind == "CONCATENATION":
            for source in node.inputs:
                if union.find(source) not in bound:  # what has fixed parameters is requantized on its way in
                    union.join(node.name, source)
    members: dict[str, list[str]] = {}
    for node in network.nodes:
        members.setdefault(union.find(node.name), []).append(node.name)
    found: dict[str, Group] = {}
    for root, names in members.items():
        positive = all(_never_negative(nodes, nodes[name]) for name in names)
        group = Group(names[0], tuple(names), bound.get(root), positive)
        found.update(dict.fromkeys(names, group))
    return found


def _never_negative(nodes: Mapping[str, Node], node: Node) -> bool:
    if node.kind in SAME_SCALE or node.kind == "CONCATENATION":
        return all(_never_negative(nodes, nodes[name]) for name in node.inputs)
    return node.fused in RELUS or node.kind in (*RELUS, "SOFTMAX", "LOGISTIC")


class _Union:
    """Disjoint sets of names; a set is known by its earliest member."""

    def __init__(self, names: Iterable[str]) -> None:
        ordered = list(names)
        self._parent: dict[str, str] = {name: name for name in ordered}
        self._rank = {name: place for place, name in enumerate(ordered)}

    def find(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def join(self, a: str, b: str) -> None:
        first, second = sorted((self.find(a), self.find(b)), key=self._rank.__getitem__)
        self._parent[second] = first
