"""Magnitude pruning: weights, or whole channels, become zero along a schedule while the user's `fit` goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedError, UsageError
from edgeq.training.callbacks import generation_of, keras_of
from edgeq.training.channels import Mask, tied_groups
from edgeq.training.network import Array, Network, Node
from edgeq.training.prepare import Prepared, is_prepared
from edgeq.training.trace import trace


@dataclass(frozen=True)
class Schedule:
    """Zhu and Gupta (2017): from `initial` to `final` with a slope that falls off as a cube.

    Attributes:
        begin, end: training steps (batches); at `end` and after it the share is `final`.
        frequency: steps between two choices of what to prune.
    """

    final: float
    begin: int
    end: int
    initial: float = 0.0
    frequency: int = 20

    def share(self, step: int) -> float:
        """The share of zeros wanted at a step."""
        if step < self.begin:
            return 0.0
        progress = min((step - self.begin) / max(self.end - self.begin, 1), 1.0)
        return float(self.final + (self.initial - self.final) * (1.0 - progress) ** 3)

    def is_due(self, step: int) -> bool:
        """Whether masks are chosen anew at this step."""
        return self.begin <= step <= self.end and ((step - self.begin) % self.frequency == 0 or step == self.end)


@dataclass(frozen=True, eq=False)
class Unit:
    """What is pruned together: one kernel's weights, or the channels of tied layers.

    Attributes:
        kernels: Keras variables whose magnitudes decide, by node, the output channels last.
        followers: more variables of the same channels that become zero with them (bias, batch norm, depthwise), by
            node; empty without structure.
        norms: of the followers, factors of batch norms, which weigh a channel too.
    """

    name: str
    kernels: Mapping[str, Any]
    followers: tuple[Any, ...] = ()
    norms: tuple[Any, ...] = ()


@dataclass(eq=False)
class Pruning:
    """A model that is being pruned; its masks live here, its zeros in the model's own weights.

    Attributes:
        schedule: when how much; `step` counts the batches so far.
        structured: whole channels rather than single weights.
    """

    model: Any
    schedule: Schedule
    structured: bool
    units: tuple[Unit, ...]
    step: int = 0
    masks: dict[str, Mask] = field(default_factory=dict)

    def callback(self) -> Any:
        """For `fit(callbacks=[…])`; the same Pruning may go through several fits."""
        return _callback_class(generation_of(_keras_model(self.model)))(self)

    def after_batch(self) -> None:
        """Choose masks where the schedule says so, and set what they leave out to zero."""
        self.step += 1
        if self.schedule.is_due(self.step):
            share = self.schedule.share(self.step)
            for unit in self.units:
                self.masks[unit.name] = _channel_mask(unit, share) if self.structured else _mask(unit, share)
        self.apply()

    def apply(self) -> None:
        """Set to zero what the masks leave out."""
        for unit in self.units:
            mask = self.masks.get(unit.name)
            if mask is None or mask.all():
                continue
            for variable in (*unit.kernels.values(), *unit.followers):
                values = _array(variable)
                variable.assign(values * _fitting(mask, values))

    def zero_share(self) -> float:
        """Zeros among the weights that are pruned, 0 to 1."""
        arrays = [_array(v) for unit in self.units for v in unit.kernels.values()]
        return 1.0 - sum(np.count_nonzero(a) for a in arrays) / max(sum(a.size for a in arrays), 1)


def prune(
    model: Any,
    *,
    sparsity: float,
    end_step: int,
    begin_step: int = 0,
    frequency: int = 20,
    initial_sparsity: float = 0.0,
    structured: bool = False,
    skip: Sequence[str] = (),
) -> Pruning:
    """Prepare a Keras model, or one prepared by `edgeq.qat`, for magnitude pruning in its own `fit`.

    Each Conv2D, SeparableConv2D (its 1×1 part) and Dense loses the same share. Depthwise kernels are left alone: they
    are few and matter much. Structured pruning takes whole channels, the same ones in all layers that an addition or a
    depthwise convolution ties together, with bias and batch norm, so that `edgeq.remove_dead_channels` can take them
    out; the channels of the model's outputs stay.

    Args:
        sparsity: share of zeros at the end, 0 to 1.
        begin_step, end_step, frequency: see `Schedule`; a step is a batch.
        skip: names of layers that stay as they are.

    Raises:
        UsageError: a share that isn't one, an end before the beginning, a layer that isn't there.
        UnsupportedError: nothing to prune; subclassed models, unknown layers.
    """
    if not 0.0 < sparsity < 1.0 or not 0.0 <= initial_sparsity <= sparsity:
        raise UsageError(f"sparsity {sparsity} from {initial_sparsity} means nothing", next_step="give shares below 1")
    if end_step <= begin_step or frequency < 1:
        raise UsageError(
            f"pruning from step {begin_step} to {end_step} every {frequency}", next_step="end after you begin"
        )
    network, variables, names = _variables(model)
    unknown = sorted(set(skip) - names)
    if unknown:
        raise UsageError(f"there is no layer '{unknown[0]}'", next_step=f"layers: {', '.join(sorted(names))}")
    units = _channel_units(network, variables, skip) if structured else _weight_units(network, variables, skip)
    if not units:
        raise UnsupportedError("there is nothing to prune in this model", where=network.name)
    schedule = Schedule(sparsity, begin_step, end_step, initial_sparsity, frequency)
    return Pruning(model, schedule, structured, units)


def _keras_model(model: Any) -> Any:
    return model.model if isinstance(model, Prepared) else model


def _variables(model: Any) -> tuple[Network, dict[str, dict[str, Any]], set[str]]:
    """The network, and the Keras variables of each node by role."""
    if is_prepared(model):
        prepared = model if isinstance(model, Prepared) else Prepared(model)
        engine, network = prepared.layer.engine, prepared.plan.network
        found: dict[str, dict[str, Any]] = {}
        for name, variable in engine.variables.items():
            node, _, role = name.rpartition("/")
            if role in ("kernel", "bias"):
                found.setdefault(node, {})[role] = variable
        return network, found, {n.layer for n in network.nodes}
    traced = trace(model)
    owned = {name: _roles(traced.network.node(name), layer) for name, layer in traced.owners.items()}
    return traced.network, owned, {n.layer for n in traced.network.nodes}


def _roles(node: Node, layer: Any) -> dict[str, Any]:
    if node.kind == "AFFINE":
        roles = {"gamma": getattr(layer, "gamma", None), "beta": getattr(layer, "beta", None)}
        if roles["gamma"] is None:
            roles["mean"] = getattr(layer, "moving_mean", None)
        return {key: value for key, value in roles.items() if value is not None}
    if node.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return {}
    kernel: Any
    separable = getattr(layer, "pointwise_kernel", None) is not None
    if separable:
        kernel = layer.depthwise_kernel if node.kind == "DEPTHWISE_CONV_2D" else layer.pointwise_kernel
    else:
        kernel = getattr(layer, "depthwise_kernel", None)
        kernel = layer.kernel if kernel is None else kernel
    roles = {"kernel": kernel}
    if getattr(layer, "bias", None) is not None and not (separable and node.kind == "DEPTHWISE_CONV_2D"):
        roles["bias"] = layer.bias
    return roles


def _weight_units(network: Network, variables: Mapping[str, Any], skip: Sequence[str]) -> tuple[Unit, ...]:
    return tuple(
        Unit(node.name, {node.name: variables[node.name]["kernel"]})
        for node in network.nodes
        if node.kind in ("CONV_2D", "FULLY_CONNECTED") and node.layer not in skip
    )


def _channel_units(network: Network, variables: Mapping[str, Any], skip: Sequence[str]) -> tuple[Unit, ...]:
    units = []
    for members in tied_groups(network):
        if any(n.layer in skip for n in members):
            continue
        makers = {n.name: variables[n.name]["kernel"] for n in members if n.kind in ("CONV_2D", "FULLY_CONNECTED")}
        followers: list[Any] = []
        norms: list[Any] = []
        for node in members:
            for role, variable in variables.get(node.name, {}).items():
                if role != "kernel" or node.name not in makers:
                    followers.append(variable)
                if role == "gamma":
                    norms.append(variable)
        units.append(Unit(members[0].name, makers, tuple(followers), tuple(norms)))
    return tuple(units)


def _mask(unit: Unit, share: float) -> Mask:
    (kernel,) = (_array(v) for v in unit.kernels.values())
    order = np.abs(kernel).reshape(-1).argsort(kind="stable")
    mask = np.ones(kernel.size, np.bool_)
    mask[order[: round(share * kernel.size)]] = False
    return mask.reshape(kernel.shape)


def _channel_mask(unit: Unit, share: float) -> Mask:
    """Channels with the least norm over all tied kernels, each times its batch norm's factor."""
    norms = [np.linalg.norm(_array(v).reshape(-1, v.shape[-1]), axis=0) for v in unit.kernels.values()]
    total = np.sum([n / max(float(n.mean()), 1e-12) for n in norms], axis=0)
    for gamma in unit.norms:
        total = total * np.abs(_array(gamma))
    mask = np.ones(total.size, np.bool_)
    mask[total.argsort(kind="stable")[: min(round(share * total.size), total.size - 1)]] = False
    return mask


def _fitting(mask: Mask, values: Array) -> Any:
    """The mask for a variable: the same shape, or channels along its last dimension (of depthwise: the third)."""
    if mask.shape == values.shape or values.shape[-1:] == mask.shape:
        return mask.astype(np.float32)
    return mask.astype(np.float32).reshape(values.shape[2:])


def _array(variable: Any) -> Array:
    return np.array(variable.numpy() if hasattr(variable, "numpy") else variable, np.float32)


@lru_cache(maxsize=2)
def _callback_class(generation: str) -> Any:
    class PruneWeights(keras_of(generation).callbacks.Callback):  # type: ignore[misc]
        """Sets weights to zero behind every batch."""

        def __init__(self, pruning: Pruning) -> None:
            super().__init__()
            self._pruning = pruning

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Keras calls this."""
            self._pruning.after_batch()

    return PruneWeights
