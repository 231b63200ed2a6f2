"""Samples for a device: in the model's own types, from a file or seeded."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.codegen.tree import TensorInfo
from edgeq.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs for several inferences.

    Attributes:
        arrays: one tuple per sample, one array per model input, each in that input's type and shape.
        source: where they come from, for the report.
        notices: what a reader should know about them.
    """

    arrays: tuple[tuple[Array, ...], ...]
    source: str
    notices: tuple[str, ...] = ()


def choose(data: str | Path, inputs: Sequence[TensorInfo], count: int, seed: int) -> Samples:
    """Samples by what a user writes: "" for seeded ones, `FILE`, or `FILE.npz:ARRAY`.

    Raises:
        DataError: see `from_file`.
    """
    if not data:
        return seeded(inputs, count, seed)
    path, array = Path(data), ""
    if not path.exists() and ":" in path.name:
        name, _, array = str(data).rpartition(":")
        path = Path(name)
    return from_file(path, inputs, count, array)


def seeded(inputs: Sequence[TensorInfo], count: int, seed: int) -> Samples:
    """Random samples over the full range of each input's integer type (0..1 for float inputs).

    The same seed gives the same samples on every machine and with every numpy.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    arrays = tuple(tuple(_random(info, generator) for info in inputs) for _ in range(count))
    return Samples(arrays, f"random, seed {seed}")


def from_file(path: Path, inputs: Sequence[TensorInfo], count: int, array_name: str = "") -> Samples:
    """The first `count` samples of an `.npy` or `.npz` file.

    Arrays have the samples along their first axis. An `.npz` for several inputs names them; for one input
    the array named like it, or the only one that fits, is taken. Data of the input's own type is used as
    it is; other data (float, or other integers) are real values, quantized with the input's parameters as
    TensorFlow Lite's QUANTIZE does.

    Args:
        array_name: the array of an `.npz` to take, for models of one input.

    Raises:
        DataError: unreadable, wrong shape, NaN or Inf, or no unambiguous array (what is there is listed).
    """
    arrays = read_arrays(path)
    if array_name:
        if array_name not in arrays or len(inputs) != 1:
            raise DataError(
                f"has no array '{array_name}' for the model's one input; it holds {', '.join(arrays)}",
                where=str(path),
                next_step="name one of these after the colon",
            )
        arrays = {array_name: arrays[array_name]}
    chosen: list[Array] = []
    notices: list[str] = []
    for info in inputs:
        array = _choose(arrays, info, path, alone=len(inputs) == 1)
        converted, notice = to_input(array[:count], info, str(path))
        chosen.append(converted)
        notices += [notice] if notice else []
    available = min(len(a) for a in chosen)
    if available == 0:
        raise DataError("holds no samples", where=str(path), next_step="give at least one")
    if available < count:
        notices.append(f"{path.name} holds {available} samples, fewer than the {count} asked for")
    samples = tuple(tuple(a[i] for a in chosen) for i in range(min(count, available)))
    return Samples(samples, path.name, tuple(notices))


def read_arrays(path: Path) -> Mapping[str, Array]:
    """Name → array of an `.npy` (under the name "") or `.npz` file; pickled objects are refused."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except OSError as failed:
        raise DataError(
            f"can't be read: {failed.strerror or failed}", where=str(path), next_step="check the path"
        ) from failed
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as failed:
        raise DataError(
            f"is not a numpy file: {failed}",
            where=str(path),
            next_step="save it with numpy.save or numpy.savez",
        ) from failed


def to_input(array: Array, info: TensorInfo, where: str) -> tuple[Array, str]:
    """Samples in an input's type and shape, and a notice ("" if there is nothing to say).

    Args:
        array: (samples, …); what follows the first axis has as many elements as the input.

    Raises:
        DataError: NaN or Inf, or not numbers.
    """
    shaped = array.reshape(len(array), *info.shape)
    dtype = np.dtype(info.dtype.lower())
    if shaped.dtype == dtype:
        return np.ascontiguousarray(shaped), ""
    if not np.issubdtype(shaped.dtype, np.number) or np.issubdtype(shaped.dtype, np.complexfloating):
        raise DataError(f"holds {shaped.dtype}, not numbers", where=where, next_step="save it as float32 or int8")
    real = shaped.astype(np.float64)
    bad = ~np.isfinite(real).reshape(len(real), -1).all(axis=1)
    if bad.any():
        raise DataError(
            f"sample {int(np.argmax(bad))} holds NaN or Inf",
            where=where,
            next_step="leave such samples out",
            sample=int(np.argmax(bad)),
        )
    if np.issubdtype(dtype, np.floating) or info.scale == 0.0:
        return shaped.astype(dtype), ""
    # TensorFlow Lite's AffineQuantize: a float32 division, then std::round, which is half away from zero.
    scaled = (real.astype(np.float32) / np.float32(info.scale)).astype(np.float64)
    steps = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5) + info.zero_point
    limits = np.iinfo(dtype)
    outside = float(np.mean((steps < limits.min - 1) | (steps > limits.max + 1)))
    notice = (
        f"{where}: {outside:.0%} of the values for '{info.name}' lie outside the range that the model was "
        f"quantized for; is the preprocessing (a division by 255?) missing"
        if outside > 0.01
        else ""
    )
    return np.clip(steps, limits.min, limits.max).astype(dtype), notice


def _random(info: TensorInfo, generator: np.random.Generator) -> Array:
    dtype = np.dtype(info.dtype.lower())
    count = prod(info.shape)
    if np.issubdtype(dtype, np.floating):
        return (
            (np.frombuffer(generator.bytes(count * 4), np.uint32) / np.float64(1 << 32))
            .astype(dtype)
            .reshape(info.shape)
        )
    # Raw bytes rather than Generator.integers, whose stream may change between numpy versions.
    if dtype == np.bool_:
        return (np.frombuffer(generator.bytes(count), np.uint8) & 1).astype(np.bool_).reshape(info.shape)
    return np.frombuffer(generator.bytes(count * dtype.itemsize), dtype).reshape(info.shape)


def _choose(arrays: Mapping[str, Array], info: TensorInfo, path: Path, *, alone: bool) -> Array:
    elements = prod(info.shape)
    listing = ", ".join(f"{name or path.name} {a.shape} {a.dtype}" for name, a in arrays.items()) or "nothing"
    named = arrays.get(info.name)
    if named is None and not alone:
        raise DataError(
            f"has no array named '{info.name}'; it holds {listing}",
            where=str(path),
            next_step="name the arrays like the model's inputs",
        )
    fitting = {
        name: a for name, a in arrays.items() if a.ndim >= 1 and len(a) and prod(a.shape[1:]) == elements and a.ndim > 1
    }
    if named is not None:
        fitting = {info.name: named} if info.name in fitting else {}
    elif len(fitting) > 1:
        # An array already in the input's type is meant for exactly this.
        exact = {n: a for n, a in fitting.items() if a.dtype == np.dtype(info.dtype.lower())}
        fitting = exact or fitting
    if len(fitting) != 1:
        what = f"has several arrays that fit '{info.name}'" if fitting else f"has no array that fits '{info.name}'"
        raise DataError(
            f"{what}, which is {info.shape} {info.dtype.lower()}; it holds {listing}",
            where=str(path),
            next_step=f"name one as {path.name}:ARRAY"
            if len(fitting) > 1
            else f"save one of shape (samples, {', '.join(map(str, info.shape[1:]))})",
        )
    return next(iter(fitting.values()))
