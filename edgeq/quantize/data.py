"""Representative data: from a file, a folder, the user's own generator or arrays, into checked samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import DataError
from edgeq.graph import DType, Tensor
from edgeq.importers import Model
from edgeq.quantize.data_files import read_folder, read_npy, read_npz
from edgeq.quantize.data_generator import collect, function_named
from edgeq.quantize.data_prepared import read_prepared, unprepared, what_kind
from edgeq.quantize.preprocess import PreparedFiles

Array = npt.NDArray[Any]
Source = str | Path | Array | Mapping[str, Any] | Iterable[Any] | Callable[[], Iterable[Any]] | PreparedFiles
"""A path (.npz, .npy, folder), `module:function`, one array, arrays by name, something that yields samples, or files to
be prepared."""

LABEL_KEYS = ("y", "labels", "label")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples for one model, each of them known to fit it.

    Attributes:
        names: the model's input names, in order.
        arrays: one per input, shape (samples, *input shape), of the input's type, finite.
        labels: class index per sample, int64 (samples,), where the user gave any.
        source: where they came from, for messages.
        numbers: each sample's place in the user's data.
        notices: what was accepted though the user may want to know.
    """

    names: tuple[str, ...]
    arrays: tuple[Array, ...]
    labels: npt.NDArray[np.int64] | None
    source: str
    numbers: tuple[int, ...]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrays[0])

    def sample(self, index: int) -> list[Array]:
        """The inputs of one inference, in the model's order and with its shapes."""
        return [array[index] for array in self.arrays]

    def subset(self, indices: Sequence[int]) -> Dataset:
        """These samples only."""
        chosen = np.asarray(indices, np.int64)
        labels = None if self.labels is None else self.labels[chosen]
        return replace(
            self,
            arrays=tuple(a[chosen] for a in self.arrays),
            labels=labels,
            numbers=tuple(self.numbers[i] for i in indices),
        )


def load_data(source: Source, model: Model, *, labels: object | None = None, limit: int | None = None) -> Dataset:
    """Read representative data and hold it against the model's inputs.

    Args:
        labels: class per sample: an array, the path of a `.npy`, or a key of the `.npz`; without it, the keys
            `y` and `labels` of an `.npz` (or `labels.npy` in a folder) are taken.
        limit: stop reading a generator after so many samples.

    Raises:
        DataError: no data, wrong shape, type, number or names, NaN or Inf; the message names sample and input.
    """
    notices: list[str] = []
    where, arrays, found_labels = _read(source, model, labels, limit, notices)
    tensors = [model.graph.tensors[i] for i in model.graph.inputs]
    fitted = []
    for name, tensor in zip(model.inputs, tensors, strict=True):
        array = _as_the_model_has_it(arrays[name], name, tensor, model.layouts.get(name), notices)
        array = _fit_shape(array, name, tensor, where, notices)
        fitted.append(_fit_type(array, name, tensor, where, notices))
    counts = {name: len(array) for name, array in zip(model.inputs, fitted, strict=True)}
    if len(set(counts.values())) > 1:
        raise DataError(
            "the inputs have different numbers of samples: "
            + ", ".join(f"{name} {count}" for name, count in counts.items()),
            where=where,
            next_step="give every input one value per sample",
            samples=counts,
        )
    count = len(fitted[0])
    if count == 0:
        raise _no_data(where)
    checked = _fit_labels(found_labels, count, where)
    return Dataset(model.inputs, tuple(fitted), checked, where, tuple(range(count)), tuple(notices))


def _read(
    source: Source, model: Model, labels: object | None, limit: int | None, notices: list[str]
) -> tuple[str, Mapping[str, Array], object | None]:
    """(where, arrays by input name, labels as given)."""
    if isinstance(source, PreparedFiles):
        samples, found_labels = read_prepared(source, model, limit, notices)
        given = found_labels if labels is None else _label_file(labels)
        return str(source.folder), {model.inputs[0]: samples}, given
    if isinstance(source, str | Path):
        path = Path(source)
        if isinstance(source, str) and _FUNCTION.fullmatch(source) and not path.exists():
            return source, collect(function_named(source), source, model, limit), _label_file(labels)
        if path.is_dir():
            kind = what_kind(path)
            if kind:
                raise unprepared(path, kind)
            arrays, found = read_folder(path, model)
            return str(path), arrays, found if labels is None else _label_file(labels)
        if not path.exists():
            raise DataError(
                "there is no such file or folder",
                where=str(path),
                next_step="give an .npz, an .npy, a folder of .npy, or module:function",
            )
        if path.suffix == ".npy":
            return str(path), _single(read_npy(path), model, str(path)), _label_file(labels)
        return _read_archive(path, model, labels)
    if isinstance(source, np.ndarray):
        return "the array", _single(source, model, "the array"), _label_file(labels)
    if isinstance(source, Mapping):
        named = {key: np.asarray(value) for key, value in source.items()}
        return "the data", *_by_name(named, model, labels, "the data")
    if isinstance(source, Iterable) or callable(source):
        return "the generator", collect(source, "the generator", model, limit), _label_file(labels)
    raise DataError(f"a {type(source).__name__} is no data", next_step="give arrays, a path or a generator")


def _read_archive(path: Path, model: Model, labels: object | None) -> tuple[str, Mapping[str, Array], object | None]:
    return str(path), *_by_name(read_npz(path), model, labels, str(path))


def _by_name(
    named: Mapping[str, Array], model: Model, labels: object | None, where: str
) -> tuple[Mapping[str, Array], object | None]:
    """Sort named arrays into the model's inputs and the labels."""
    rest = dict(named)
    if not rest:
        raise _no_data(where)
    found: object | None = None
    if isinstance(labels, str) and labels in rest:
        found = rest.pop(labels)
    elif labels is not None:
        found = _label_file(labels)
    else:
        for key in LABEL_KEYS:
            if key in rest and key not in model.inputs:
                found = rest.pop(key)
                break
    tensor_names = [model.graph.tensors[i].name for i in model.graph.inputs]
    chosen: dict[str, Array] = {}
    for name, tensor_name in zip(model.inputs, tensor_names, strict=True):
        for key in (name, tensor_name):
            if key in rest:
                chosen[name] = rest.pop(key)
                break
    if not chosen and len(model.inputs) == 1 and len(rest) == 1:
        chosen[model.inputs[0]] = next(iter(rest.values()))
    absent = [name for name in model.inputs if name not in chosen]
    if absent:
        there = ", ".join(f"{key} {value.dtype} {value.shape}" for key, value in named.items())
        raise DataError(
            f"no array is named {' or '.join(repr(n) for n in absent)} (there: {there})",
            where=where,
            next_step="name the arrays after the model's inputs: np.savez(file, "
            + ", ".join(f"{name}=…" for name in model.inputs)
            + ")",
            missing=absent,
            keys=list(named),
        )
    return chosen, found


def _single(array: Array, model: Model, where: str) -> Mapping[str, Array]:
    if len(model.inputs) != 1:
        raise DataError(
            f"holds one array, but the model has {len(model.inputs)} inputs: {', '.join(model.inputs)}",
            where=where,
            next_step="give an .npz with one array per input, named after it",
            inputs=list(model.inputs),
        )
    return {model.inputs[0]: array}


def _as_the_model_has_it(
    array: Array, name: str, tensor: Tensor, axes: tuple[int, ...] | None, notices: list[str]
) -> Array:
    """Data prepared for the original model: channels first where it had them so, and this one has them last."""
    if axes is None or not array.ndim:
        return array
    original = tuple(tensor.shape[axes.index(i)] for i in range(len(axes)))
    batches = array[:, None] if array.shape[1:] == original[1:] else array
    if batches.shape[1:] != original or original == tensor.shape:
        return array
    turned = batches.transpose(0, *(1 + a for a in axes))
    notices.append(f"'{name}': samples of shape {original[1:]} are as the original model takes them; channels go last")
    return turned


def _fit_shape(array: Array, name: str, tensor: Tensor, where: str, notices: list[str]) -> Array:
    """As (samples, *tensor.shape); the batch dimension of the model is 1 and may be left out."""
    whole = tensor.shape
    sample = whole[1:] if whole[:1] == (1,) else whole
    if array.ndim and len(array) == 0:
        raise _no_data(where)
    if array.ndim and (array.shape[1:] == sample or array.shape[1:] == whole):
        return array.reshape(len(array), *whole)
    if array.shape in (sample, whole):
        return array.reshape(1, *whole)
    if array.ndim and [d for d in array.shape[1:] if d != 1] == [d for d in sample if d != 1]:
        notices.append(f"'{name}': samples of shape {array.shape[1:]} are taken as {sample}")
        return array.reshape(len(array), *whole)
    wanted = ", ".join(["N", *map(str, sample)])
    raise DataError(
        f"'{name}' has the shape {array.shape}, but the model takes ({wanted})",
        where=where,
        next_step=_shape_advice(array.shape, sample),
        input=name,
        shape=list(array.shape),
        expected=list(sample),
    )


def _shape_advice(given: tuple[int, ...], sample: tuple[int, ...]) -> str:
    if len(given) == 4 and len(sample) == 3 and (given[2], given[3], given[1]) == sample:
        return "the channels come last here: x.transpose(0, 2, 3, 1)"
    if len(given) > 1 and int(np.prod(given[1:])) == int(np.prod(sample)):
        return f"the number of values fits: x.reshape(-1, {', '.join(map(str, sample))}), if their order does too"
    return "prepare the data exactly as for training"


def _fit_type(array: Array, name: str, tensor: Tensor, where: str, notices: list[str]) -> Array:
    kind = array.dtype.kind
    if tensor.dtype is DType.FLOAT32:
        if kind not in "fiub":
            raise _wrong_type(array, name, tensor, where, "numbers")
        if kind in "iu":
            low, high = array.min(), array.max()
            notices.append(
                f"'{name}' holds {array.dtype} from {low} to {high}, taken as the same values in float32; "
                "if the model was trained on scaled data (say, divided by 255), scale these too"
            )
        with np.errstate(over="ignore"):
            values = array.astype(np.float32, copy=False)
        _refuse_non_finite(values, name, where)
        return np.ascontiguousarray(values)
    wanted = tensor.dtype.numpy
    if kind not in "iub" or tensor.dtype.is_float:
        raise _wrong_type(array, name, tensor, where, "integers")
    values = array.astype(wanted)
    if not np.array_equal(values, array):
        raise DataError(
            f"'{name}' holds values from {array.min()} to {array.max()}, which don't fit {wanted}",
            where=where,
            input=name,
        )
    return np.ascontiguousarray(values)


def _refuse_non_finite(values: npt.NDArray[np.float32], name: str, where: str) -> None:
    finite = np.isfinite(values).reshape(len(values), -1)
    if finite.all():
        return
    bad = np.flatnonzero(~finite.all(axis=1))
    first = int(bad[0])
    inside = int(np.flatnonzero(~finite[first])[0])
    place = tuple(int(i) for i in np.unravel_index(inside, values.shape[1:]))
    value = values[first][place]
    what = "NaN" if np.isnan(value) else "Inf"
    raise DataError(
        f"sample {first} of '{name}' holds {what} at {place}"
        + (f" ({len(bad)} of {len(values)} samples have such values)" if len(bad) > 1 else ""),
        where=where,
        next_step="remove or repair these samples",
        input=name,
        sample=first,
        samples=bad[:100].tolist(),
        value=what,
    )


def _fit_labels(labels: object | None, count: int, where: str) -> npt.NDArray[np.int64] | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] > 1:
        array = array.argmax(axis=1)  # one-hot
    array = array.reshape(-1)
    if len(array) != count:
        raise DataError(f"{len(array)} labels for {count} samples", where=where, labels=len(array), samples=count)
    if array.dtype.kind not in "iufb" or not np.array_equal(array, np.round(array)):
        raise DataError(
            f"the labels are {array.dtype}, not class numbers",
            where=where,
            next_step="give the index of the class, 0 for the first output",
        )
    return array.astype(np.int64)


def _label_file(labels: object | None) -> object | None:
    if not isinstance(labels, str | Path):
        return labels
    path = Path(labels)
    if not path.exists():
        raise DataError(
            "there are no such labels: neither a file nor an array of the data",
            where=str(labels),
            next_step="give the path of a .npy, or the name of an array in the .npz",
        )
    if path.suffix == ".npz":
        arrays = read_npz(path)
        for key in LABEL_KEYS:
            if key in arrays:
                return arrays[key]
        raise DataError(f"has no array named {' or '.join(LABEL_KEYS)}", where=str(path))
    return read_npy(path)


def _wrong_type(array: Array, name: str, tensor: Tensor, where: str, wanted: str) -> DataError:
    return DataError(
        f"'{name}' holds {array.dtype}, but the model takes {wanted} ({tensor.dtype.value})",
        where=where,
        next_step="prepare the data exactly as for training",
        input=name,
    )


def _no_data(where: str) -> DataError:
    return DataError("holds no samples", where=where, next_step="25 to 50 typical samples are enough to calibrate with")
