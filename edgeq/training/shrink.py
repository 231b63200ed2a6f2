"""A Keras model without its dead channels: the same function, smaller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.errors import EdgeqError, UnsupportedError
from edgeq.importers.detect import is_keras_model
from edgeq.training.callbacks import generation_of, keras_of
from edgeq.training.channels import Mask, kept_channels
from edgeq.training.network import Array, Network, Node
from edgeq.training.prepare import as_given
from edgeq.training.trace import flat, trace


@dataclass(frozen=True, eq=False)
class Shrunk:
    """The smaller model.

    Attributes:
        model: a Keras model of the same generation, layers of the same names, not compiled.
        channels: layer → (channels before, after), where they differ.
        weights_before, weights_after: numbers of parameters.
    """

    model: Any
    channels: Mapping[str, tuple[int, int]]
    weights_before: int
    weights_after: int


def remove_dead_channels(model: Any) -> Shrunk:
    """Build the model again without channels that are zero whatever the input (as structured pruning leaves them).

    Raises:
        UnsupportedError: layers that `edgeq.qat` doesn't know either, or models inside the model.
        EdgeqError: the smaller model gives other outputs; it isn't handed out then.
    """
    traced = trace(model)
    network = traced.network
    inner = next((layer for layer in model.layers if is_keras_model(layer)), None)
    if inner is not None:
        raise UnsupportedError(
            f"'{inner.name}' is a model inside the model, whose layers can't be rebuilt from here",
            where=str(model.name),
            next_step="build the network from its layers, without the inner model",
            layer=str(inner.name),
        )
    keep = kept_channels(network, traced.weights)
    by_layer: dict[str, list[Node]] = {}
    for node in network.nodes:
        by_layer.setdefault(node.layer, []).append(node)

    def rebuilt(layer: Any) -> Any:
        config = layer.get_config()
        nodes = by_layer.get(str(layer.name), [])
        if nodes:
            _resize(layer, config, int(keep[nodes[-1].name].sum()))
        return type(layer).from_config(config)

    smaller = keras_of(generation_of(model)).models.clone_model(model, clone_function=rebuilt)
    for layer in model.layers:
        if layer.weights:
            sliced = _sliced(layer, by_layer[str(layer.name)], network, keep)
            smaller.get_layer(str(layer.name)).set_weights(sliced)
    _verify(model, smaller)
    changed = {
        name: (nodes[-1].shape[-1], int(keep[nodes[-1].name].sum()))
        for name, nodes in by_layer.items()
        if not keep[nodes[-1].name].all()
    }
    return Shrunk(smaller, changed, int(model.count_params()), int(smaller.count_params()))


def _resize(layer: Any, config: dict[str, Any], channels: int) -> None:
    kind = type(layer).__name__
    if kind in ("Conv2D", "SeparableConv2D"):
        config["filters"] = channels
    elif kind == "Dense":
        config["units"] = channels
    elif kind == "Reshape":
        config["target_shape"] = (*tuple(config["target_shape"])[:-1], channels)
    config.pop("build_config", None)


def _sliced(layer: Any, nodes: list[Node], network: Network, keep: Mapping[str, Mask]) -> list[Array]:
    """The layer's weights without the channels that go."""
    kind = type(layer).__name__
    given = keep[nodes[0].inputs[0]]
    weights: list[Array] = layer.get_weights()
    if kind == "Conv2D":
        made = [weights[0][:, :, given][..., keep[nodes[0].name]]]
        return made + [b[keep[nodes[0].name]] for b in weights[1:]]
    if kind == "Dense":
        made = [weights[0][given][:, keep[nodes[0].name]]]
        return made + [b[keep[nodes[0].name]] for b in weights[1:]]
    if kind == "DepthwiseConv2D":
        return [weights[0][:, :, given], *(b[keep[nodes[0].name]] for b in weights[1:])]
    if kind == "SeparableConv2D":
        between, out = keep[nodes[0].name], keep[nodes[1].name]
        return [weights[0][:, :, given], weights[1][:, :, between][..., out], *(b[out] for b in weights[2:])]
    if kind == "BatchNormalization":
        return [w[given] for w in weights]
    if given.all():
        return weights
    raise UnsupportedError(
        f"layer '{layer.name}' ({kind}) can't be made smaller", where=network.name, layer=str(layer.name)
    )


def _verify(model: Any, smaller: Any) -> None:
    """Both on the same random inputs."""
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0.3, 1.0, (8, *t.shape[1:])).astype(np.float32) for t in flat(model.inputs)]
    given = as_given(model, inputs)
    for wanted, got in zip(flat(model(given, training=False)), flat(smaller(given, training=False)), strict=True):
        before, after = np.asarray(wanted), np.asarray(got)
        error = float(np.abs(before - after).max())
        if error > 1e-4 * max(float(np.abs(before).max()), 1e-3):
            raise EdgeqError(
                f"the model without dead channels gives other outputs (by {error:.3g})",
                where=str(model.name),
                next_step="report this with the model's layers",
            )
