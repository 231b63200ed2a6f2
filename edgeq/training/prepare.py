"""From a trained float model to one that trains with quantization inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgeq import registry
from edgeq.errors import ModelFileError, UsageError
from edgeq.importers.detect import is_keras_model
from edgeq.quantize.data import Dataset, Source, load_data
from edgeq.quantize.methods import Range
from edgeq.training.callbacks import generation_of, keras_of, range_freezer
from edgeq.training.export import float_model
from edgeq.training.fold import fold
from edgeq.training.network import WEIGHTED, Array, Network, Weights
from edgeq.training.plan import Plan
from edgeq.training.ranges import Bits
from edgeq.training.trace import flat, trace

TENSORFLOW = registry.Row("", "convert", ("tensorflow",))
RangeLearning = Literal["moving-average", "trainable"]

_BATCH = 64
_CLIP_CANDIDATES = np.linspace(0.4, 1.0, 25)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network that trains with quantization inside.

    Attributes:
        model: a Keras model of the same generation, with the same inputs and outputs as the one it was made from;
            compile and fit it as that one. It can be saved as any Keras model; `edgeq.load_qat` reads it again.
        data: what the first ranges come from, None after loading.
    """

    model: Any
    data: Dataset | None = field(default=None, repr=False)

    @property
    def layer(self) -> Any:
        """The Keras layer that holds the quantized network."""
        return quantized_layer(self.model)

    @property
    def plan(self) -> Plan:
        """What was decided before training."""
        plan: Plan = self.layer.plan
        return plan

    def ranges(self) -> dict[str, Range]:
        """The range of each tensor as it is now, by node; prescribed ones too."""
        return ranges_of(self.model)

    def predict(self, arrays: Sequence[Array], batch: int = 256) -> list[Array]:
        """Outputs for inputs in the network's order, each (samples, …): what the integer file gives, as real values."""
        batches = [
            flat(self.layer(_lone([a[at : at + batch] for a in arrays]), training=False))
            for at in range(0, len(arrays[0]), batch)
        ]
        return [np.concatenate([np.asarray(b[place]) for b in batches]) for place in range(len(batches[0]))]

    def freeze_ranges(self, frozen: bool = True) -> None:
        """Ranges stay as they are from here on (or move again)."""
        self.layer.engine.variables["observing"].assign(0.0 if frozen else 1.0)

    def callbacks(self, freeze_ranges_after: int | None = None) -> list[Any]:
        """Callbacks for `fit`.

        Args:
            freeze_ranges_after: ranges stop moving after so many epochs; None: they never stop.
        """
        return [] if freeze_ranges_after is None else [range_freezer(self, freeze_ranges_after)]

    def summary(self) -> str:
        """A line for each node: operator, output shape, bits of the weights, and the range as it is now."""
        plan, ranges = self.plan, self.ranges()
        lines = []
        for node in plan.network.nodes:
            bits = f"int{plan.bits.of_weights(node)} weights" if node.kind in WEIGHTED else ""
            kind = node.kind + ("" if node.fused == "NONE" else f" + {node.fused}")
            found = ranges[node.name]
            lines.append(
                f"{node.name:<32} {kind:<28} {node.shape!s:<16} {bits:<13} {found.low:.4g} to {found.high:.4g}"
            )
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the model as a `.keras` file."""
        self.model.save(str(path))


def qat(
    model: Any,
    *,
    representative_data: Source,
    target: Any = None,
    scheme: str = "static_wi8_ai8",
    ranges: RangeLearning = "moving-average",
    momentum: float = 0.99,
    clip_weights: bool | None = None,
    keep_zeros: bool = True,
) -> Prepared:
    """Prepare a trained float model for quantization-aware training.

    Batch norms are folded with their moving statistics before the first step and stay folded; dropout stays in
    training. The prepared model computes in training what the integer file will compute on the device.

    Args:
        model: Functional or Sequential, of Keras 3 (TensorFlow backend) or of tf_keras, trained.
        representative_data: inputs from which the first ranges come; see `edgeq.quantize.data.load_data`.
        target: a `Target`; refuse now what it couldn't run after training.
        scheme: `static_wi8_ai8`, `static_wi8_ai16` or `static_wi4_ai8`.
        ranges: "moving-average" of each batch's extremes, or "trainable": by gradient (LSQ; for a ReLU it is PACT).
        momentum: of the moving average, for each batch.
        clip_weights: learn a limit per channel that kernels are clipped to; for 4-bit weights unless told.
        keep_zeros: weights that are exactly zero (pruned) stay zero.

    Raises:
        UnsupportedError: subclassed, a layer that edgeq doesn't know (named), or a target that can't run it.
        DataError: data that don't fit the model.
        UsageError: an unknown scheme or way to learn ranges; Keras 3 on another backend.
        MissingDependencyError: TensorFlow is not installed.
    """
    bits = _bits_of(scheme)
    if ranges not in ("moving-average", "trainable"):
        raise UsageError(f"ranges can't be learned by '{ranges}'", next_step="choose moving-average or trainable")
    if not 0.0 <= momentum < 1.0:
        raise UsageError(f"momentum {momentum} is not in 0 to 1", next_step="0.99 is usual")
    registry.require(TENSORFLOW, "quantization-aware training")
    traced = trace(model)
    generation = generation_of(model)
    _require_tensorflow_backend(generation)
    network, weights = fold(traced.network, traced.weights)
    floats = float_model(network, weights)
    data = load_data(representative_data, floats)
    clipping = bits.weights < 8 if clip_weights is None else clip_weights
    plan = Plan(
        network=network,
        scheme=scheme,
        bits=bits,
        target="" if target is None else str(target.name),
        kernel_shapes=_kernel_shapes(network, weights),
        trainable_ranges=ranges == "trainable",
        momentum=momentum,
        masked=_masked(network, weights) if keep_zeros else (),
        clipped=tuple(n.name for n in network.nodes if n.kind in WEIGHTED) if clipping else (),
    )
    built = _build(model, plan, generation)
    _initialize(quantized_layer(built).engine, plan, weights, data)
    prepared = Prepared(built, data)
    if target is not None:
        from edgeq.training.conversion import require_runnable

        require_runnable(prepared, target)
    return prepared


def load_qat(path: str | Path) -> Prepared:
    """Read a model saved by `Prepared.save`, of either generation of Keras.

    Raises:
        ModelFileError: it is no `.keras` file, or holds no network prepared by edgeq.
        MissingDependencyError: TensorFlow is not installed.
    """
    registry.require(TENSORFLOW, "quantization-aware training")
    from edgeq.importers.tensorflow_worker import keras_version
    from edgeq.training.keras_layer import layer_class

    generation = "tf_keras" if keras_version(Path(path)).startswith("2.") else "keras"
    layer_class(generation)  # registers it
    try:
        return Prepared(_checked(keras_of(generation).models.load_model(str(path)), str(path)))
    except (ValueError, OSError, TypeError) as failed:
        raise ModelFileError(
            f"can't be loaded as a model prepared by edgeq.qat: {str(failed).strip().splitlines()[0]}",
            where=str(path),
            next_step="save it with prepared.save('model.keras')",
        ) from failed


def is_prepared(source: object) -> bool:
    """Whether this is a Prepared, or a Keras model with a quantized network of edgeq inside; imports nothing."""
    if isinstance(source, Prepared):
        return True
    return is_keras_model(source) and any(
        type(layer).__name__ == "QuantizedNetwork" for layer in getattr(source, "layers", None) or []
    )


def quantized_layer(model: Any) -> Any:
    """The layer of a prepared Keras model that holds the network."""
    return next(layer for layer in model.layers if type(layer).__name__ == "QuantizedNetwork")


def ranges_of(model: Any) -> dict[str, Range]:
    """The range of each node's output in a prepared Keras model."""
    layer = quantized_layer(model)
    found: dict[str, Range] = {}
    for name, group in layer.plan.groups.items():
        if group.fixed is not None:
            bits = layer.plan.bits.activations
            least, most = (-128, 127) if bits == 8 else (-32767, 32767)
            scale, zero = group.fixed.scale, group.fixed.zero_point
            found[name] = Range(scale * (least - zero), scale * (most - zero))
        else:
            ends = (float(layer.engine.array(f"{group.name}/{end}")) for end in ("low", "high"))
            found[name] = Range(*ends)
    return found


def trained_weights(model: Any) -> dict[str, Array]:
    """Kernels and biases that take part in a prepared Keras model: masked, and clipped to their limits."""
    layer = quantized_layer(model)
    found: dict[str, Array] = {}
    for node in layer.plan.network.nodes:
        if node.kind in WEIGHTED:
            found[f"{node.name}/kernel"] = np.array(layer.engine.kernel(node), np.float32)
            found[f"{node.name}/bias"] = np.array(layer.engine.bias(node), np.float32)
    return found


def _checked(model: Any, where: str) -> Any:
    if not is_prepared(model):
        raise ModelFileError("holds no network prepared by edgeq.qat", where=where, next_step="edgeq.qat(model, …)")
    return model


def _bits_of(scheme: str) -> Bits:
    known = {"static_wi8_ai8": Bits(8, 8), "static_wi8_ai16": Bits(8, 16), "static_wi4_ai8": Bits(4, 8)}
    if scheme not in known:
        raise UsageError(f"the scheme '{scheme}' can't be trained for", next_step=f"choose one of: {', '.join(known)}")
    return known[scheme]


def _require_tensorflow_backend(generation: str) -> None:
    if generation == "tf_keras":
        return
    backend = keras_of(generation).backend.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"Keras runs on {backend}, and quantization-aware training needs TensorFlow",
            next_step="set KERAS_BACKEND=tensorflow before importing keras, and load the model again",
        )


def _kernel_shapes(network: Network, weights: Weights) -> dict[str, tuple[int, ...]]:
    return {n.name: tuple(weights[f"{n.name}/kernel"].shape) for n in network.nodes if n.kind in WEIGHTED}


def _masked(network: Network, weights: Weights) -> tuple[str, ...]:
    return tuple(n.name for n in network.nodes if n.kind in WEIGHTED and not np.all(weights[f"{n.name}/kernel"]))


def _build(model: Any, plan: Plan, generation: str) -> Any:
    """A Functional model around the quantized layer, with the original's inputs and output names."""
    from edgeq.training.keras_layer import layer_class

    keras = keras_of(generation)
    inputs = [
        keras.Input(plan.network.node(name).shape, name=name, dtype=given.dtype)
        for name, given in zip(plan.network.inputs, flat(model.inputs), strict=True)
    ]
    layer = layer_class(generation)(plan, name=f"{plan.network.name}_quantized", dtype="float32")
    made = layer(inputs if len(inputs) > 1 else inputs[0])
    outputs = [
        keras.layers.Activation("linear", name=name)(tensor)
        for name, tensor in zip(plan.network.output_names, flat(made), strict=True)
    ]
    return keras.Model(
        as_given(model, inputs), outputs if len(outputs) > 1 else outputs[0], name=f"{plan.network.name}_qat"
    )


def _lone(values: list[Any]) -> Any:
    return values if len(values) > 1 else values[0]


def as_given(model: Any, inputs: Sequence[Any]) -> Any:
    """In the structure that the user's model takes: one tensor, a list or a dict."""
    structure = getattr(model, "_inputs_struct", None)  # Keras 3
    if structure is None:
        structure = getattr(model, "_nested_inputs", None)  # Keras 2
    if isinstance(structure, dict):
        return dict(zip(structure, inputs, strict=True))
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _initialize(engine: Any, plan: Plan, weights: Weights, data: Dataset) -> None:
    from edgeq.training.keras_layer import load_weights

    load_weights(engine, weights)
    for name in plan.masked:
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        engine.variables[f"{name}/kernel_mask"].assign((kernel != 0).astype(np.float32))
        empty = ~np.any(kernel.reshape(-1, bias.size), axis=0)
        engine.variables[f"{name}/bias_mask"].assign((~(empty & (bias == 0))).astype(np.float32))
    for name in plan.clipped:
        node = plan.network.node(name)
        limit = best_limit(weights[f"{name}/kernel"], node.kind, plan.bits.of_weights(node))
        engine.variables[f"{name}/limit"].assign(limit)
    for name, (low, high) in observed(engine, plan, data).items():
        engine.variables[f"{name}/low"].assign(low)
        engine.variables[f"{name}/high"].assign(high)


def observed(engine: Any, plan: Plan, data: Dataset) -> Mapping[str, tuple[float, float]]:
    """The extremes of each learned group over the data, from the float network."""
    found: dict[str, tuple[float, float]] = {}
    learned = {group.name for group in engine.learned_groups()}
    for start in range(0, len(data), _BATCH):
        batch = [a[start : start + _BATCH].reshape(-1, *a.shape[2:]) for a in data.arrays]
        for node, values in engine.run_float(batch).items():
            name = plan.groups[node].name
            if name not in learned:
                continue
            array = np.asarray(values)
            low, high = found.get(name, (0.0, 0.0))
            found[name] = (min(low, float(array.min())), max(high, float(array.max())))
    return found


def best_limit(kernel: Array, kind: str, bits: int) -> Array:
    """For each channel the limit whose rounding has the least squared error, of 25 between 0.4 and 1 of its extent."""
    from edgeq.training.operators import KERNEL_AXES

    axes = KERNEL_AXES[kind]
    most = 2.0 ** (bits - 1) - 1
    extent = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-9)
    best, least = extent, np.full(extent.shape, np.inf)
    for share in _CLIP_CANDIDATES if bits < 8 else (1.0,):
        scale = extent * share / most
        rounded = np.clip(np.rint(kernel / scale), -most, most) * scale
        error = ((rounded - kernel) ** 2).sum(axis=axes, keepdims=True)
        best, least = np.where(error < least, extent * share, best), np.minimum(error, least)
    return np.asarray(best, np.float32)
