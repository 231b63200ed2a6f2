"""Which generation of Keras a model is of, its module, and callbacks for it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeq.training.prepare import Prepared


def range_freezer(prepared: Prepared, after: int) -> Any:
    """Freezes the ranges when epoch number `after` (from 0) begins."""
    return _freezer_class(generation_of(prepared.model))(prepared, after)


def generation_of(model: Any) -> str:
    """ "keras" (3) or "tf_keras", by the model's class."""
    roots = [base.__module__.partition(".")[0] for base in type(model).__mro__ if base.__name__ == "Model"]
    return "tf_keras" if roots and roots[0] == "tf_keras" else "keras"


def keras_of(generation: str) -> Any:
    """The module: "keras" (3) or "tf_keras"."""
    if generation == "keras":
        import keras

        return keras
    import tf_keras

    return tf_keras


@lru_cache(maxsize=2)
def _freezer_class(generation: str) -> Any:
    class FreezeRanges(keras_of(generation).callbacks.Callback):  # type: ignore[misc]
        """Activation ranges move for some epochs, then stay."""

        def __init__(self, prepared: Prepared, after: int) -> None:
            super().__init__()
            self._prepared, self._after = prepared, after

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            """Keras calls this."""
            self._prepared.freeze_ranges(epoch >= self._after)

    return FreezeRanges
