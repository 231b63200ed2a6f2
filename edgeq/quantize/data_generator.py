"""Samples from the user's own Python: `module:function`, a callable or anything that can be iterated."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError, EdgeqError
from edgeq.importers import Model
from edgeq.quantize.data_files import stack

Array = npt.NDArray[Any]
MAX_GENERATED = 2000
"""Samples taken from a generator that doesn't end by itself."""


def function_named(name: str) -> Callable[[], Iterable[Any]]:
    """Import `module:function`; modules in the current folder are found.

    Raises:
        DataError: no such module or function, or the import failed.
    """
    module_name, _, attribute = name.partition(":")
    try:
        with _current_folder_first():
            module = importlib.import_module(module_name)
    except Exception as failed:  # the user's module may raise anything
        raise DataError(
            f"can't import {module_name}: {type(failed).__name__}: {failed}",
            where=name,
            next_step=f"try: python -c 'import {module_name}'",
        ) from failed
    function = getattr(module, attribute, None)
    if not callable(function):
        raise DataError(
            f"{module_name} has no function '{attribute}'",
            where=name,
            next_step=f"define def {attribute}(): yield one sample after the other",
        )
    found: Callable[[], Iterable[Any]] = function
    return found


def collect(
    source: Iterable[Any] | Callable[[], Iterable[Any]], where: str, model: Model, limit: int | None
) -> Mapping[str, Array]:
    """Arrays (samples, …) by input name.

    What is yielded may be an array (models with one input), a list or tuple of arrays in the order of the
    inputs, or a dict by input name; each one sample, with or without a batch dimension.

    Raises:
        DataError: nothing was yielded, it raised, or what it yields doesn't fit the model's inputs.
    """
    gathered: dict[str, list[Array]] = {name: [] for name in model.inputs}
    count = 0
    try:
        for item in source() if callable(source) else source:
            for name, value in _named(item, model, where, count).items():
                gathered[name].append(np.asarray(value))
            count += 1
            if count >= (limit or MAX_GENERATED):
                break
    except EdgeqError:
        raise
    except Exception as failed:  # the user's code may raise anything
        raise DataError(
            f"raised {type(failed).__name__} after {count} samples: {failed}",
            where=where,
            next_step="run the generator by itself to see where",
            samples=count,
        ) from failed
    if count == 0:
        raise DataError("yielded no samples", where=where, next_step="yield one array (or dict) per sample")
    shapes = {n: model.graph.tensors[i].shape for n, i in zip(model.inputs, model.graph.inputs, strict=True)}
    return {
        name: stack(items, shapes[name], [f"{where}, sample {i}" for i in range(len(items))])
        for name, items in gathered.items()
    }


def _named(item: Any, model: Model, where: str, count: int) -> Mapping[str, Any]:
    inputs = model.inputs
    if isinstance(item, Mapping):
        if set(item) != set(inputs):
            raise DataError(
                f"sample {count} has the names {', '.join(map(str, item))}; the model's inputs are {', '.join(inputs)}",
                where=where,
                next_step="yield a dict with one array per input",
                sample=count,
            )
        return item
    if isinstance(item, list | tuple) and len(item) == len(inputs):
        if len(inputs) > 1 or hasattr(item[0], "shape"):
            return dict(zip(inputs, item, strict=True))
    elif isinstance(item, list | tuple) and item and hasattr(item[0], "shape"):
        raise DataError(
            f"sample {count} holds {len(item)} arrays; the model has {len(inputs)} inputs: {', '.join(inputs)}",
            where=where,
            next_step="yield one array per input, without labels (these go to --labels)",
            sample=count,
        )
    if len(inputs) > 1:
        raise DataError(
            f"sample {count} is one array; the model has {len(inputs)} inputs: {', '.join(inputs)}",
            where=where,
            next_step="yield a dict with one array per input",
            sample=count,
        )
    return {inputs[0]: item}


@contextmanager
def _current_folder_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
