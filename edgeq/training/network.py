"""A feed-forward network as edgeq trains, prunes and exports it: nodes in order, weights apart.

Both generations of Keras are read into this one form (`trace`), everything is decided on it (`fold`, `ranges`,
`channels`), and it is what runs in training (`keras_layer`) and what the float `.tflite` is written from (`export`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]
"""By "node/kernel", "node/bias" or, of AFFINE, "node/factor" and "node/offset". Kernels as Keras lays them out."""

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Kernels (height, width, in, out), (height, width, in, multiplier), (in, out); each has a bias (out,)."""

SAME_SCALE = frozenset({"RESHAPE", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "DROPOUT"})
"""The output keeps its input's scale and zero point, in the file and therefore in training."""

FUSING = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL"})
"""Operators that take RELU or RELU6 into themselves. Poolings could too, but keep their input's range."""

RELUS = frozenset({"RELU", "RELU6"})


@dataclass(frozen=True)
class Node:
    """One operator, or an input.

    Attributes:
        name: unique; the Keras layer's, with a suffix where a layer becomes several nodes.
        kind: the TensorFlow Lite operator; also INPUT, AFFINE (one factor and one offset per channel, before
            folding) and DROPOUT (in training only).
        inputs: names of nodes.
        shape: of the output, without the batch.
        options: plain values (strides, padding, ...); "fused" is the activation taken in.
        layer: the Keras layer that it comes from, for messages.
        trainable: whether its weights are.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    trainable: bool = True

    @property
    def fused(self) -> str:
        """The activation in it: "NONE", "RELU" or "RELU6"."""
        return str(self.options.get("fused", "NONE"))

    @property
    def elements(self) -> int:
        """Of one sample's output."""
        return prod(self.shape)

    def with_options(self, **changes: Any) -> Node:
        """The same node with these options changed."""
        return replace(self, options={**self.options, **changes})


@dataclass(frozen=True)
class Network:
    """Nodes in execution order.

    Attributes:
        inputs, outputs: node names, in the model's order.
        input_names, output_names: as the Keras model calls them.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    def node(self, name: str) -> Node:
        """By name."""
        return self.by_name[name]

    @property
    def by_name(self) -> dict[str, Node]:
        """All nodes."""
        return {node.name: node for node in self.nodes}

    def readers(self) -> dict[str, list[Node]]:
        """Who reads each node's output; an output of the model has no extra entry."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values: what a saved Keras model carries in its configuration."""
        return {
            "name": self.name,
            "nodes": [
                {
                    "name": n.name,
                    "kind": n.kind,
                    "inputs": list(n.inputs),
                    "shape": list(n.shape),
                    "options": dict(n.options),
                    "layer": n.layer,
                    "trainable": n.trainable,
                }
                for n in self.nodes
            ],
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
        }


def network_of_json(given: Mapping[str, Any]) -> Network:
    """The inverse of `Network.to_json`."""
    nodes = tuple(
        Node(
            n["name"],
            n["kind"],
            tuple(n["inputs"]),
            tuple(int(d) for d in n["shape"]),
            dict(n["options"]),
            n["layer"],
            bool(n["trainable"]),
        )
        for n in given["nodes"]
    )
    ends = (tuple(given[key]) for key in ("inputs", "outputs", "input_names", "output_names"))
    return Network(given["name"], nodes, *ends)
