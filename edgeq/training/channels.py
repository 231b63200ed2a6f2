"""Which channels of a network are zero whatever the input, and which can therefore be taken out altogether.

Channels are tied: a depthwise convolution, a batch norm, an addition keep channel c at place c, so that it goes on all
sides of them or on none. Masks spread along these ties until nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgeq.training.network import Network, Node, Weights

Mask = npt.NDArray[np.bool_]

ALONE = frozenset(
    {"AFFINE", "RELU", "RELU6", "LEAKY_RELU", "TANH", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD", "DROPOUT"}
    | {"RESIZE_NEAREST_NEIGHBOR", "DEPTHWISE_CONV_2D"}
)
"""Output channel c is made of input channel c alone (or c // multiplier), and is zero where that one is."""

JOINS = frozenset({"ADD", "SUB", "MUL"})


def zero_channels(network: Network, weights: Weights) -> dict[str, Mask]:
    """For each node the output channels (last dimension) that are exactly zero for every input."""
    zero: dict[str, Mask] = {}
    for node in network.nodes:
        zero[node.name] = _zero_of(node, network, weights, zero)
    return zero


def kept_channels(network: Network, weights: Weights) -> dict[str, Mask]:
    """For each node the channels that have to stay; of every tensor at least one."""
    keep = {name: ~mask for name, mask in zero_channels(network, weights).items()}
    for name in (*network.inputs, *network.outputs):
        keep[name][:] = True
    _spread(network, keep)
    for node in network.nodes:
        if not keep[node.name].any():
            keep[node.name][0] = True
            _spread(network, keep)
    return keep


def _zero_of(node: Node, network: Network, weights: Weights, zero: Mapping[str, Mask]) -> Mask:
    channels = node.shape[-1]
    nothing = np.zeros(channels, np.bool_)
    given = [zero[name] for name in node.inputs]
    if node.kind in ("CONV_2D", "FULLY_CONNECTED"):
        kernel = weights[f"{node.name}/kernel"][..., ~given[0], :]
        return np.asarray(~kernel.reshape(-1, channels).any(axis=0) & (weights[f"{node.name}/bias"] == 0))
    if node.kind == "DEPTHWISE_CONV_2D":
        kernel = weights[f"{node.name}/kernel"]
        silent = ~kernel.reshape(-1, channels).any(axis=0) | np.repeat(given[0], kernel.shape[3])
        return np.asarray(silent & (weights[f"{node.name}/bias"] == 0))
    if node.kind == "AFFINE":
        silent = given[0] | (weights[f"{node.name}/factor"] == 0)
        return np.asarray(silent & (weights[f"{node.name}/offset"] == 0))
    if node.kind in ALONE:
        return given[0].copy()
    if node.kind in JOINS and all(mask.size == channels for mask in given):
        return np.asarray(np.logical_or(*given) if node.kind == "MUL" else np.logical_and(*given))
    if node.kind == "CONCATENATION" and node.options["axis"] == len(node.shape):
        return np.concatenate(given)
    if node.kind == "RESHAPE" and (times := repeats(network, node)):
        return np.tile(given[0], times)
    return nothing


def repeats(network: Network, node: Node) -> int:
    """How often a RESHAPE lays the input's channels end to end in its last dimension; 0: it mixes them up."""
    before, after = network.node(node.inputs[0]).shape, node.shape
    if len(after) > 1 and after[-1] != before[-1]:
        return 0
    return after[-1] // before[-1] if after[-1] % before[-1] == 0 else 0


def _spread(network: Network, keep: dict[str, Mask]) -> None:
    """What is kept on one side of a tie is kept on the other."""
    changed = True
    while changed:
        before = sum(int(mask.sum()) for mask in keep.values())
        for node in (*network.nodes, *reversed(network.nodes)):
            _tie(node, network, keep)
        changed = sum(int(mask.sum()) for mask in keep.values()) != before


def _tie(node: Node, network: Network, keep: dict[str, Mask]) -> None:
    out = keep[node.name]
    if node.kind in ALONE:
        source = keep[node.inputs[0]]
        times = out.size // source.size
        source |= out.reshape(-1, times).any(axis=1)
        out |= np.repeat(source, times)
    elif node.kind in JOINS and all(keep[name].size == out.size for name in node.inputs):
        for name in node.inputs:
            out |= keep[name]
        for name in node.inputs:
            keep[name] |= out
    elif node.kind == "CONCATENATION" and node.options["axis"] == len(node.shape):
        start = 0
        for name in node.inputs:
            part = out[start : start + keep[name].size]
            part |= keep[name]
            keep[name] |= part
            start += part.size
    elif node.kind == "RESHAPE" and (times := repeats(network, node)):
        source = keep[node.inputs[0]]
        source |= out.reshape(times, -1).any(axis=0)
        out |= np.tile(source, times)
    elif node.kind not in ("INPUT", "CONV_2D", "FULLY_CONNECTED"):
        out[:] = True
        for name in node.inputs:
            keep[name][:] = True


def tied_groups(network: Network) -> list[tuple[Node, ...]]:
    """Nodes whose outputs have the same channels at the same places and can be pruned together, makers and followers.

    Left out are groups with an end of the model in them, and those tied to what mixes channels up or makes zeros into
    something else.
    """
    group: dict[str, list[Node]] = {}
    blocked: set[str] = set()
    for node in network.nodes:
        mine = [node]
        tied = node.kind in ALONE or node.kind in JOINS
        sources = [network.node(name) for name in node.inputs]
        if tied:
            if any(source.shape[-1] != node.shape[-1] for source in sources):
                blocked |= {source.name for source in sources} | {node.name}
            else:
                for source in sources:
                    other = group[source.name]
                    if other is not mine:
                        mine = other + [n for n in mine if all(n is not o for o in other)]
                        for member in mine:
                            group[member.name] = mine
        elif node.kind not in ("INPUT", "CONV_2D", "FULLY_CONNECTED") and not _reads_apart(network, node):
            blocked |= {source.name for source in sources} | {node.name}
        for member in mine:
            group[member.name] = mine
    found = {id(members): members for members in group.values()}.values()
    ends = {*network.inputs, *network.outputs}
    return [
        tuple(members)
        for members in found
        if not any(n.name in blocked or n.name in ends or n.kind in ("CONCATENATION", "RESHAPE") for n in members)
        and any(n.kind in ("CONV_2D", "FULLY_CONNECTED") for n in members)
    ]


def _reads_apart(network: Network, node: Node) -> bool:
    """Whether a node that isn't tied to its inputs still reads them channel by channel."""
    if node.kind == "CONCATENATION":
        return bool(node.options["axis"] == len(node.shape))
    return node.kind == "RESHAPE" and repeats(network, node) > 0
