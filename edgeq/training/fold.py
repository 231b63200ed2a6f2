"""What never reaches the device is folded away before training: batch norms, scalings, separate ReLUs.

Batch normalization is folded with its moving statistics, once, before the first step of training, and stays folded.
So what is trained is what is deployed, to the last weight, and nothing has to be corrected or frozen later; the
price is that activations are no longer normalized while it trains, which asks for a small learning rate (docs/qat.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgeq.errors import UnsupportedError
from edgeq.training.network import FUSING, RELUS, WEIGHTED, Array, Network, Node, Weights

Wide = npt.NDArray[np.float64]


def fold(network: Network, weights: Weights) -> tuple[Network, dict[str, Array]]:
    """The same function without AFFINE nodes, and with ReLUs inside the operators before them.

    An AFFINE (batch norm, rescaling) goes into the weighted operator before it, else into the one behind it, else it
    becomes a 1×1 depthwise convolution of its own.

    Raises:
        UnsupportedError: an AFFINE on a vector with no weighted operator beside it; the layer is named.
    """
    folding = _Folding(network, weights)
    for node in network.nodes:
        if node.kind == "AFFINE":
            folding.affine(node)
    folded = fuse(folding.network())
    known = folded.by_name
    return folded, {
        key: np.ascontiguousarray(values, np.float32)
        for key, values in folding.weights.items()
        if key.rpartition("/")[0] in known
    }


class _Folding:
    """One network while its AFFINE nodes go."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self._given = network
        self._nodes = network.by_name
        self.weights: dict[str, Wide] = {key: np.asarray(values, np.float64) for key, values in weights.items()}
        self._outputs = list(network.outputs)

    def network(self) -> Network:
        nodes = tuple(self._nodes[n.name] for n in self._given.nodes if n.name in self._nodes)
        return replace(self._given, nodes=nodes, outputs=tuple(self._outputs))

    def affine(self, node: Node) -> None:
        factor, offset = self.weights.pop(f"{node.name}/factor"), self.weights.pop(f"{node.name}/offset")
        source = self._nodes[node.inputs[0]]
        if source.kind in WEIGHTED and len(self._readers(source.name)) == 1 and source.name not in self._outputs:
            self._into_source(source, factor, offset)
            self._bypass(node)
        elif self._fits_behind(node, offset):
            self._into_reader(self._readers(node.name)[0], factor, offset)
            self._bypass(node)
        elif len(node.shape) == 3:
            options = {"size": [1, 1], "strides": [1, 1], "padding": "VALID", "dilation": [1, 1]}
            self._nodes[node.name] = replace(node, kind="DEPTHWISE_CONV_2D", options=options)
            self.weights[f"{node.name}/kernel"] = factor.reshape(1, 1, -1, 1)
            self.weights[f"{node.name}/bias"] = offset
        else:
            raise UnsupportedError(
                f"layer '{node.layer}' scales a vector between layers that can't take it in",
                where=self._given.name,
                next_step="put it directly before or behind a Dense layer without an activation between",
                layer=node.layer,
            )

    def _readers(self, name: str) -> list[Node]:
        return [n for n in self._nodes.values() if name in n.inputs]

    def _into_source(self, source: Node, factor: Wide, offset: Wide) -> None:
        kernel, bias = self.weights[f"{source.name}/kernel"], self.weights[f"{source.name}/bias"]
        scale = factor.reshape(kernel.shape[2:]) if source.kind == "DEPTHWISE_CONV_2D" else factor
        self.weights[f"{source.name}/kernel"] = kernel * scale
        self.weights[f"{source.name}/bias"] = bias * factor + offset

    def _fits_behind(self, node: Node, offset: Wide) -> bool:
        """One reader with weights; where that one pads, padding must be what a zero would have become: no offset."""
        readers = self._readers(node.name)
        if len(readers) != 1 or node.name in self._outputs or readers[0].kind not in WEIGHTED:
            return False
        return readers[0].options.get("padding", "VALID") != "SAME" or not np.any(offset != 0)

    def _into_reader(self, reader: Node, factor: Wide, offset: Wide) -> None:
        kernel, bias = self.weights[f"{reader.name}/kernel"], self.weights[f"{reader.name}/bias"]
        if reader.kind == "DEPTHWISE_CONV_2D":
            added = (kernel * offset[None, None, :, None]).sum(axis=(0, 1)).reshape(-1)
            kernel = kernel * factor[None, None, :, None]
        else:
            added = (kernel * offset[:, None]).reshape(-1, kernel.shape[-1]).sum(axis=0)
            kernel = kernel * factor[:, None]
        self.weights[f"{reader.name}/kernel"], self.weights[f"{reader.name}/bias"] = kernel, bias + added

    def _bypass(self, node: Node) -> None:
        del self._nodes[node.name]
        self._outputs = [node.inputs[0] if name == node.name else name for name in self._outputs]
        for reader in self._readers(node.name):
            self._nodes[reader.name] = replace(reader, inputs=_swap(reader.inputs, node.name, node.inputs[0]))


def fuse(network: Network) -> Network:
    """RELU and RELU6 go into the operator before them, where nothing else reads that."""
    readers = network.readers()
    nodes: dict[str, Node] = network.by_name
    renamed: dict[str, str] = {}
    for node in network.nodes:
        source = nodes.get(renamed.get(node.inputs[0], node.inputs[0])) if node.inputs else None
        if node.kind not in RELUS or source is None or source.kind not in FUSING or source.fused != "NONE":
            continue
        if len(readers[node.inputs[0]]) != 1 or source.name in network.outputs:
            continue
        nodes[source.name] = source.with_options(fused=node.kind)
        del nodes[node.name]
        renamed[node.name] = source.name
    kept = tuple(
        replace(nodes[n.name], inputs=tuple(_final(i, renamed) for i in n.inputs))
        for n in network.nodes
        if n.name in nodes
    )
    return replace(network, nodes=kept, outputs=tuple(_final(name, renamed) for name in network.outputs))


def _final(name: str, renamed: Mapping[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _swap(names: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if name == old else name for name in names)
