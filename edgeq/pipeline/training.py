"""Training for integers: quantization-aware training and pruning of Keras models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import UsageError
from edgeq.events import Listener

if TYPE_CHECKING:
    from edgeq.pipeline import ModelLike
    from edgeq.quantize import EndType, QuantizedModel, Scheme
    from edgeq.target import Target
    from edgeq.training.prepare import Prepared, RangeLearning
    from edgeq.training.pruning import Pruning
    from edgeq.training.shrink import Shrunk
    from edgeq.training.sparsity import SparsityReport


def qat(
    model: object,
    *,
    representative_data: Any,
    target: str | Target | None = None,
    scheme: str = "static_wi8_ai8",
    ranges: RangeLearning = "moving-average",
    momentum: float = 0.99,
    clip_weights: bool | None = None,
    keep_zeros: bool = True,
) -> Prepared:
    """Prepare a trained Keras model for quantization-aware training; see `edgeq.training.prepare.qat`.

    prepared = edgeq.qat(model, representative_data=x[:200], target="nucleo-l4r5zi")
    prepared.model.compile(...); prepared.model.fit(x, y, epochs=5, callbacks=prepared.callbacks(3))
    edgeq.convert(prepared, representative_data=x_test, labels=y_test)
    """
    from edgeq.training import prepare

    return prepare.qat(
        model,
        representative_data=representative_data,
        target=_target(target),
        scheme=scheme,
        ranges=ranges,
        momentum=momentum,
        clip_weights=clip_weights,
        keep_zeros=keep_zeros,
    )


def load_qat(path: str | Path) -> Prepared:
    """A model saved by `Prepared.save`; see `edgeq.training.prepare.load_qat`."""
    from edgeq.training import prepare

    return prepare.load_qat(path)


def prune(
    model: object,
    *,
    sparsity: float,
    end_step: int,
    begin_step: int = 0,
    frequency: int = 20,
    initial_sparsity: float = 0.0,
    structured: bool = False,
    skip: Sequence[str] = (),
) -> Pruning:
    """Prepare a model for magnitude pruning in its own `fit`; see `edgeq.training.pruning.prune`."""
    from edgeq.training import pruning

    return pruning.prune(
        model,
        sparsity=sparsity,
        end_step=end_step,
        begin_step=begin_step,
        frequency=frequency,
        initial_sparsity=initial_sparsity,
        structured=structured,
        skip=skip,
    )


def remove_dead_channels(model: object) -> Shrunk:
    """A Keras model without channels that are always zero; see `edgeq.training.shrink.remove_dead_channels`."""
    from edgeq.training import shrink

    return shrink.remove_dead_channels(model)


def sparsity(model: ModelLike) -> SparsityReport:
    """The zeros of a `.tflite` and what they buy on edgeq's engine; see `edgeq.training.sparsity.sparsity`."""
    from edgeq.pipeline import read_model
    from edgeq.training.sparsity import sparsity as count

    return count(read_model(model).graph)


def is_prepared(source: object) -> bool:
    """Whether `qat` made it; paths and models of other kinds are not looked into."""
    from edgeq.training import prepare

    return not isinstance(source, str | Path) and prepare.is_prepared(source)


def convert_trained(
    source: Any,
    representative_data: Any,
    scheme: str | Scheme,
    per_layer: Mapping[int | str, str | Scheme] | None,
    io: EndType | None,
    target: str | Target | None,
    labels: object | None,
    samples: int | None,
    listener: Listener,
) -> QuantizedModel:
    """`edgeq.convert` for what `qat` prepared.

    Raises:
        UsageError: another scheme than it was trained for.
    """
    from edgeq.training import conversion, prepare

    trained = prepare.quantized_layer(getattr(source, "model", source)).plan.scheme
    wanted = scheme if isinstance(scheme, str) else scheme.name
    if per_layer is not None or wanted not in (trained, "static_wi8_ai8"):
        raise UsageError(
            f"the model was trained for {trained}",
            next_step="leave scheme and per_layer out, or call edgeq.qat with another scheme",
        )
    return conversion.convert(
        source,
        representative_data=representative_data,
        io=io,
        target=_target(target),
        labels=labels,
        samples=samples,
        listener=listener,
    )


def _target(name: str | Target | None) -> Target | None:
    from edgeq.pipeline import load_target

    return None if name is None else load_target(name)
