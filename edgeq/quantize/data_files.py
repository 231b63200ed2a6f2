"""Arrays from `.npy`, `.npz` and folders of `.npy`. Pickles are never opened: they are programs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError
from edgeq.importers import Model

Array = npt.NDArray[Any]


def read_npy(path: Path) -> Array:
    """One array.

    Raises:
        DataError: not a `.npy`, damaged, or an array of Python objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as damaged:  # numpy parses the header as Python: tokenize.TokenError, SyntaxError and others
        raise _damaged(path, damaged) from damaged
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError("is an archive of arrays, not one array", where=str(path), next_step="name it .npz")
    return array


def read_npz(path: Path) -> Mapping[str, Array]:
    """All arrays of an archive, by name.

    Raises:
        DataError: not an `.npz`, damaged, or with arrays of Python objects.
    """
    if not zipfile.is_zipfile(path):
        raise DataError(
            "is not numpy data (.npz is a zip archive, this is not)",
            where=str(path),
            next_step="save it with np.savez(file, x=…)",
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if isinstance(archive[name], np.ndarray)}
    except Exception as bad:  # zlib.error, struct.error, NotImplementedError: whatever a broken zip makes of it
        raise _damaged(path, bad) from bad


def read_folder(path: Path, model: Model) -> tuple[Mapping[str, Array], Array | None]:
    """A folder of `.npy`, one per sample (or batch), in the order of their names.

    A model with several inputs takes one subfolder per input, named after it. `labels.npy` holds labels.

    Raises:
        DataError: no such files, or files whose shapes differ.
    """
    labels_file = path / "labels.npy"
    labels = read_npy(labels_file) if labels_file.is_file() else None
    if len(model.inputs) == 1 and not (path / model.inputs[0]).is_dir():
        return {model.inputs[0]: _stacked(path, model, 0, labels_file)}, labels
    absent = [name for name in model.inputs if not (path / name).is_dir()]
    if absent:
        raise DataError(
            f"has no subfolder {' or '.join(repr(n) for n in absent)} for the model's inputs of that name",
            where=str(path),
            next_step="one subfolder of .npy files per input",
            missing=absent,
        )
    return {
        name: _stacked(path / name, model, position, labels_file) for position, name in enumerate(model.inputs)
    }, labels


def _stacked(folder: Path, model: Model, position: int, skip: Path) -> Array:
    files = sorted(p for p in folder.glob("*.npy") if p != skip)
    if not files:
        raise DataError("holds no .npy files", where=str(folder), next_step="save each sample with np.save(file, x)")
    tensor = model.graph.tensors[model.graph.inputs[position]]
    return stack([read_npy(file) for file in files], tensor.shape, [str(file) for file in files])


def stack(items: list[Array], whole: tuple[int, ...], names: list[str]) -> Array:
    """Samples and batches, one after the other, as one array (samples, …).

    Args:
        whole: the input's shape with its batch of 1; an item of this rank is a batch.
        names: what to call each item in messages.

    Raises:
        DataError: an item's shape differs from the first one's.
    """
    batched = [item if item.ndim == len(whole) and whole[:1] == (1,) else item[None] for item in items]
    for item, name in zip(batched, names, strict=True):
        if item.shape[1:] != batched[0].shape[1:]:
            raise DataError(
                f"has the shape {item.shape[1:]} where the first one ({names[0]}) has {batched[0].shape[1:]}",
                where=name,
                next_step="all samples must have the model's input shape",
            )
    return np.concatenate(batched)


def _damaged(path: Path, failure: Exception) -> DataError:
    text = str(failure)
    if "allow_pickle" in text:
        return DataError(
            "holds Python objects, not numbers (edgeq doesn't open pickles)",
            where=str(path),
            next_step="save a plain array: np.save(file, np.asarray(x, np.float32))",
        )
    return DataError(f"can't be read as numpy data: {text}", where=str(path), next_step="save it again")
