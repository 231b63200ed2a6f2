"""The layer that holds a whole network with quantization inside, for either generation of Keras.

One layer rather than one per operator: a bias is rounded with its input's scale, the inputs of a concatenation share
one range, and both would have to be passed around between layers. Its variables are named after the user's layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from edgeq.training.callbacks import keras_of
from edgeq.training.integers import (
    Parameters,
    Value,
    activated,
    activation_parameters,
    fixed_parameters,
    limited,
    quantize,
    requantize,
    scale_gradient,
)
from edgeq.training.network import SAME_SCALE, WEIGHTED, Network, Node, Weights
from edgeq.training.operators import KERNEL_AXES, plain, plain_integers, same_scale, weighted, weighted_sums
from edgeq.training.plan import Plan, plan_of_json
from edgeq.training.ranges import Group

PACKAGE = "edgeq"


class _Engine:
    """Everything the layer does, apart from being a Keras layer; `add` is Keras' add_weight."""

    def __init__(self, plan: Plan, add: Any) -> None:
        self.plan = plan
        self.network: Network = plan.network
        self.groups = plan.groups
        self.variables: dict[str, Any] = {}
        for node in self.network.nodes:
            if node.kind in WEIGHTED:
                self._add_weights(node, add)
        for group in self.learned_groups():
            for end in ("low", "high"):
                trainable = plan.trainable_ranges and not (end == "low" and group.never_negative)
                self._add(add, f"{group.name}/{end}", (), trainable)
        self._add(add, "observing", (), False, 1.0)

    def learned_groups(self) -> list[Group]:
        """Groups whose range isn't prescribed, in execution order."""
        return [g for g in dict.fromkeys(self.groups.values()) if g.fixed is None]

    def _add_weights(self, node: Node, add: Any) -> None:
        kernel = self.plan.kernel_shapes[node.name]
        channels = node.shape[-1]
        self._add(add, f"{node.name}/kernel", kernel, node.trainable)
        self._add(add, f"{node.name}/bias", (channels,), node.trainable)
        if node.name in self.plan.masked:
            self._add(add, f"{node.name}/kernel_mask", kernel, False, 1.0)
            self._add(add, f"{node.name}/bias_mask", (channels,), False, 1.0)
        if node.name in self.plan.clipped:
            limits = tuple(1 if d in KERNEL_AXES[node.kind] else n for d, n in enumerate(kernel))
            self._add(add, f"{node.name}/limit", limits, node.trainable, 1.0)

    def _add(self, add: Any, name: str, shape: Sequence[int], trainable: bool, value: float = 0.0) -> None:
        initializer = "zeros" if value == 0.0 else "ones"
        self.variables[name] = add(
            name=name.replace("/", "__"), shape=tuple(shape), initializer=initializer, trainable=trainable
        )

    def value(self, name: str) -> Any:
        """A variable as a tensor."""
        return tf.convert_to_tensor(self.variables[name])

    def array(self, name: str) -> Any:
        """A variable as an array."""
        return np.array(self.value(name))

    def kernel(self, node: Node) -> Any:
        """What takes part: masked, and clipped to the learned limit."""
        kernel = self.value(f"{node.name}/kernel")
        if node.name in self.plan.masked:
            kernel = kernel * self.value(f"{node.name}/kernel_mask")
        if node.name in self.plan.clipped:
            limit = tf.abs(self.value(f"{node.name}/limit"))
            kernel = tf.clip_by_value(kernel, -limit, limit)
        return kernel

    def bias(self, node: Node) -> Any:
        """What takes part: masked."""
        bias = self.value(f"{node.name}/bias")
        return bias * self.value(f"{node.name}/bias_mask") if node.name in self.plan.masked else bias

    def parameters(self) -> Mapping[str, Parameters]:
        """By group name."""
        bits = self.plan.bits.activations
        found: dict[str, Parameters] = {}
        for group in dict.fromkeys(self.groups.values()):
            if group.fixed is not None:
                found[group.name] = fixed_parameters(group.fixed, bits)
            else:
                low, high = self.range_of(group)
                found[group.name] = activation_parameters(low, high, bits)
        return found

    def range_of(self, group: Group) -> tuple[Any, Any]:
        """The ends of a learned range; while they are trainable, their gradient is scaled as LSQ does it."""
        low, high = self.value(f"{group.name}/low"), self.value(f"{group.name}/high")
        if not self.plan.trainable_ranges:
            return low, high
        elements = max(self.network.node(name).elements for name in group.members)
        levels = 2 ** (self.plan.bits.activations - 1) - 1
        factor = 1.0 / float(np.sqrt(elements * levels))
        observing = self.value("observing")
        return tuple(
            observing * scale_gradient(end, factor) + (1.0 - observing) * tf.stop_gradient(end) for end in (low, high)
        )

    def run(self, inputs: Sequence[Any], training: bool) -> list[Any]:
        """The network with quantization; while training it also follows ranges by moving average."""
        parameters = self.parameters()
        seen: dict[str, list[Any]] = {}
        values: dict[str, Value] = {}
        for name, given in zip(self.network.inputs, inputs, strict=True):
            self._note(seen, name, given)
            values[name] = quantize(tf.cast(given, tf.float32), parameters[self.groups[name].name])
        for node in self.network.nodes:
            if node.kind != "INPUT":
                values[node.name] = self._step(node, values, parameters, seen, training)
        if training and not self.plan.trainable_ranges:
            self._follow(seen)
        return [values[name].real for name in self.network.outputs]

    def _step(
        self,
        node: Node,
        values: Mapping[str, Value],
        parameters: Mapping[str, Parameters],
        seen: dict[str, list[Any]],
        training: bool,
    ) -> Value:
        sources = [values[name] for name in node.inputs]
        own = parameters[self.groups[node.name].name]
        if node.kind in SAME_SCALE:
            return same_scale(node, sources[0], training)
        if node.kind == "CONCATENATION":
            parts = [s if s.parameters is own else quantize(s.real, own) for s in sources]
            return Value(tf.concat([p.n for p in parts], axis=node.options["axis"]), own)
        if node.kind in WEIGHTED:
            bits = self.plan.bits.of_weights(node)
            sums, *steps = weighted_sums(node, sources[0], self.kernel(node), self.bias(node), bits)
            self._note(seen, node.name, activated(sums * (steps[0] * steps[1]), node.fused))
            return requantize(sums, (steps[0], steps[1]), own, node.fused, exact=not training)
        real = plain(node, sources)
        self._note(seen, node.name, real)
        smooth = quantize(real, own)
        integers = None if training or self.plan.bits.activations != 8 else plain_integers(node, sources, own)
        return smooth if integers is None else limited(smooth, integers, own, node.fused)

    def _note(self, seen: dict[str, list[Any]], name: str, real: Any) -> None:
        if self.groups[name].fixed is None:
            seen.setdefault(self.groups[name].name, []).append((tf.reduce_min(real), tf.reduce_max(real)))

    def _follow(self, seen: Mapping[str, Sequence[Any]]) -> None:
        """One step of the moving average, unless ranges are frozen."""
        rate = self.value("observing") * (1.0 - self.plan.momentum)
        for name, ends in seen.items():
            found = (tf.reduce_min([low for low, _ in ends]), tf.reduce_max([high for _, high in ends]))
            for end, now in zip(("low", "high"), found, strict=True):
                variable = self.variables[f"{name}/{end}"]
                before = tf.convert_to_tensor(variable)
                variable.assign(before + rate * (tf.stop_gradient(tf.cast(now, tf.float32)) - before))

    def run_float(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """Every node's output without quantization, for the first ranges."""
        values = {n: Value(tf.cast(x, tf.float32), None) for n, x in zip(self.network.inputs, inputs, strict=True)}
        for node in self.network.nodes:
            if node.kind == "INPUT":
                continue
            sources = [values[name] for name in node.inputs]
            if node.kind in SAME_SCALE:
                values[node.name] = same_scale(node, sources[0], False)
            elif node.kind == "CONCATENATION":
                values[node.name] = Value(tf.concat([s.n for s in sources], axis=node.options["axis"]), None)
            elif node.kind in WEIGHTED:
                values[node.name] = Value(weighted(node, sources[0], self.kernel(node), self.bias(node)), None)
            else:
                values[node.name] = Value(plain(node, sources), None)
        return {name: value.n for name, value in values.items()}


@lru_cache(maxsize=2)
def layer_class(generation: str) -> Any:
    """The layer for "keras" (3) or "tf_keras", registered so that saved models load."""
    keras = keras_of(generation)

    @keras.saving.register_keras_serializable(package=PACKAGE)
    class QuantizedNetwork(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """A network with the quantization of one scheme inside; made by `edgeq.qat`."""

        def __init__(self, plan: Any = None, **options: Any) -> None:
            super().__init__(**options)
            self.plan = plan if isinstance(plan, Plan) else plan_of_json(plan)

        def build(self, input_shape: Any) -> None:
            """Create the variables; shapes come from the plan."""
            if getattr(self, "engine", None) is None:
                self.engine = _Engine(self.plan, self.add_weight)
            self.built = True

        def call(self, inputs: Any, training: Any = None) -> Any:
            """Outputs of the quantized network, as real values."""
            given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
            made = self.engine.run(given, bool(training))
            return made if len(made) > 1 else made[0]

        def compute_output_shape(self, input_shape: Any) -> Any:
            """(batch, …) of each output."""
            network = self.plan.network
            shapes = [(None, *network.node(name).shape) for name in network.outputs]
            return shapes if len(shapes) > 1 else shapes[0]

        def get_config(self) -> dict[str, Any]:
            """With the plan, from which everything but the weights can be rebuilt."""
            return {**super().get_config(), "plan": self.plan.to_json()}

    return QuantizedNetwork


def load_weights(engine: _Engine, weights: Weights) -> None:
    """Set kernels and biases from a folded network's."""
    for name, values in weights.items():
        engine.variables[name].assign(values)
