"""Labelled data for a model of any type: real values for its inputs, labels of any kind, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError
from edgeq.graph import DType, Graph
from edgeq.importers import Model
from edgeq.importers.plain_float import friendly_name
from edgeq.quantize import Dataset, dequantized, load_data
from edgeq.quantize.data import LABEL_KEYS, Source
from edgeq.quantize.data_files import read_npy, read_npz

Array = npt.NDArray[Any]
GROUP_KEYS = ("group", "groups")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples with what is known of each.

    Attributes:
        data: the inputs in real values, float32 (integers where the model takes unquantized ones).
        labels: one per sample along the first axis, of whatever shape and type the metric wants; None without.
        groups: samples with the same value belong together (windows of one recording), int64 (samples,); None when
            each stands for itself.
    """

    data: Dataset
    labels: Array | None
    groups: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.data)

    def first(self, count: int, seed: int) -> Labelled:
        """At most `count` of them, chosen at random, in their order; all with 0."""
        if not 0 < count < len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        return Labelled(
            self.data.subset([int(i) for i in chosen]),
            None if self.labels is None else self.labels[chosen],
            None if self.groups is None else self.groups[chosen],
        )


def load_labelled(
    source: Source, graph: Graph, *, labels: object | None = None, names: tuple[str, ...] = ()
) -> Labelled:
    """Read labelled data and hold it against a model's inputs.

    Args:
        source: as in `edgeq.quantize.load_data`; of an `.npz`, `FILE.npz:ARRAY` names the one that is the input.
            Arrays of the very integer type of a quantized input are its stored values, others real ones.
        labels: an array, the path of a `.npy`, or a key of the `.npz`; without it, its `y`, `labels` or `label`.
        names: of the inputs, as the model's author knows them.

    Raises:
        DataError: see `load_data`; labels or groups of another number than the samples.
    """
    model = _ends(graph, names)
    where, arrays = _arrays(source)
    if arrays is None:
        data = load_data(source, model, labels=labels)
        return Labelled(data, data.labels, None)
    rest = dict(arrays)
    found = _take_labels(rest, labels, model)
    groups = next((rest.pop(key) for key in GROUP_KEYS if key in rest and key not in model.inputs), None)
    inputs = _real_inputs(rest, graph, model)
    try:
        data = load_data(cast(Source, inputs), model)
    except DataError as wrong:
        raise DataError(wrong.what, where=where, next_step=wrong.next_step, **wrong.facts) from wrong
    data = replace(data, source=where)
    return Labelled(data, _counted(found, len(data), "labels", where), _as_groups(groups, len(data), where))


def _ends(graph: Graph, names: tuple[str, ...]) -> Model:
    """The model as `load_data` knows models, with quantized inputs taken as real values."""
    tensors = list(graph.tensors)
    for index in graph.inputs:
        if tensors[index].quant is not None:
            tensors[index] = replace(tensors[index], dtype=DType.FLOAT32, quant=None)
    seen = tuple(friendly_name(graph.tensors[i].name) for i in graph.inputs)
    chosen = names if len(names) == len(graph.inputs) else seen
    ends = replace(graph, tensors=tuple(tensors))
    return Model(graph.name, graph.source, "tflite", b"", ends, chosen, ())


def _arrays(source: Source) -> tuple[str, Mapping[str, Array] | None]:
    """Named arrays where that is what the source is; None for folders, generators and the like."""
    if isinstance(source, np.ndarray):
        return "the array", {"": source}
    if isinstance(source, Mapping):
        return "the data", {key: np.asarray(value) for key, value in source.items()}
    if not isinstance(source, str | Path):
        return "", None
    path, wanted = Path(source), ""
    if not path.exists() and ".npz:" in path.name:
        name, _, wanted = str(source).rpartition(":")
        path = Path(name)
    if not path.is_file() or path.suffix not in (".npz", ".npy"):
        return str(source), None
    if path.suffix == ".npy":
        return str(path), {"": read_npy(path)}
    arrays = read_npz(path)
    if wanted and wanted not in arrays:
        there = ", ".join(f"{key} {value.dtype} {value.shape}" for key, value in arrays.items())
        raise DataError(f"has no array '{wanted}' (there: {there})", where=str(path), next_step="name one of these")
    if wanted:  # what is named is the input, whatever else would suit
        arrays = {"": arrays[wanted], **{key: value for key, value in arrays.items() if key != wanted}}
    return str(path), arrays


def _take_labels(rest: dict[str, Array], labels: object | None, model: Model) -> Array | None:
    if labels is None:
        key = next((key for key in LABEL_KEYS if key in rest and key not in model.inputs), None)
        return None if key is None else rest.pop(key)
    if not isinstance(labels, str | Path):
        return np.asarray(labels)
    if str(labels) in rest:
        return rest.pop(str(labels))
    path = Path(labels)
    if not path.exists():
        there = ", ".join(key for key in rest if key) or "one array without a name"
        raise DataError(
            f"there are no such labels: neither a file nor an array of the data (there: {there})",
            where=str(labels),
            next_step="give the path of a .npy, or the name of an array in the .npz",
        )
    if path.suffix == ".npz":
        arrays = read_npz(path)
        found = next((arrays[key] for key in LABEL_KEYS if key in arrays), None)
        if found is None:
            raise DataError(f"has no array named {' or '.join(LABEL_KEYS)}", where=str(path))
        return found
    return read_npy(path)


def _real_inputs(arrays: Mapping[str, Array], graph: Graph, model: Model) -> Mapping[str, Array]:
    """Arrays by input name; stored values of a quantized input as real ones."""
    if len(model.inputs) == 1:
        arrays = _only(arrays, graph, model)
    found: dict[str, Array] = {}
    tensors = [graph.tensors[i] for i in graph.inputs]
    known = {key: t for name, t in zip(model.inputs, tensors, strict=True) for key in (name, t.name)}
    for key, array in arrays.items():
        tensor = known.get(key)
        stored = tensor is not None and tensor.quant is not None and array.dtype == tensor.dtype.numpy
        found[key] = dequantized(tensor, array) if stored and tensor is not None else array
    return found


def _only(arrays: Mapping[str, Array], graph: Graph, model: Model) -> Mapping[str, Array]:
    """The array for a model's one input: the one named like it, or meant for it, or the only one of its size."""
    name, tensor = model.inputs[0], graph.tensors[graph.inputs[0]]
    for key in (name, tensor.name, ""):
        if key in arrays:
            return {name: arrays[key]}
    fitting = [key for key, a in arrays.items() if a.ndim > 1 and prod(a.shape[1:]) == tensor.elements]
    if len(fitting) != 1:
        return arrays  # load_data says what is there and what is wanted
    return {name: arrays[fitting[0]]}


def _counted(values: Array | None, count: int, what: str, where: str) -> Array | None:
    if values is None:
        return None
    if values.ndim == 0 or len(values) != count:
        found = 0 if values.ndim == 0 else len(values)
        raise DataError(f"{found} {what} for {count} samples", where=where, given=found, samples=count)
    return values


def _as_groups(values: Array | None, count: int, where: str) -> npt.NDArray[np.int64] | None:
    counted = _counted(values, count, "groups", where)
    if counted is None:
        return None
    _, numbers = np.unique(counted, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)
