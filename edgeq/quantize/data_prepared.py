"""Image files and recordings as arrays: the files of a folder, labels from its sub-folders, each prepared alike."""

from __future__ import annotations

import wave
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq import registry
from edgeq.errors import DataError
from edgeq.importers import Model
from edgeq.quantize.mfcc import mfcc
from edgeq.quantize.preprocess import PRESETS, ImageSteps, PreparedFiles, SpeechSteps, Steps, parse

Array = npt.NDArray[Any]
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
RECORDINGS = (".wav",)
MAX_BYTES = 1 << 30
"""Of prepared samples held at once; more files than that are thinned out evenly."""
CLASS_FILE = "classes.txt"
_PILLOW = registry.Row("", "images", ("PIL",))


@dataclass(frozen=True)
class Files:
    """What a folder holds, sorted.

    Attributes:
        classes: the names of the classes, in the order of their numbers; () without sub-folders.
        labels: the class of each file, then.
    """

    paths: tuple[Path, ...]
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()


def read_prepared(
    source: PreparedFiles, model: Model, limit: int | None, notices: list[str]
) -> tuple[Array, Array | None]:
    """(samples (n, …) as the model's only input wants them, labels or None).

    Raises:
        UsageError: the text of the preprocessing means nothing.
        DataError: no such files, one that can't be read, or a model whose input they can't be.
        MissingDependencyError: Pillow is not installed, and there are images.
    """
    steps = parse(source.preprocess)
    folder = Path(source.folder)
    if len(model.inputs) != 1:
        raise DataError(
            f"files become one input, but the model has {len(model.inputs)}: {', '.join(model.inputs)}",
            where=str(folder),
            next_step="prepare them yourself: an .npz with one array per input, or module:function",
        )
    files = find_files(folder, RECORDINGS if isinstance(steps, SpeechSteps) else IMAGES)
    shape = model.graph.tensors[model.graph.inputs[0]].shape
    files = _thinned(files, 4 * int(np.prod(shape)), limit, notices)
    if files.classes:
        listed = ", ".join(f"{i} {name}" for i, name in enumerate(files.classes[:12]))
        notices.append(f"labels from sub-folders: {listed}{', …' if len(files.classes) > 12 else ''}")
    samples = np.stack(_prepare(files.paths, steps, shape, folder))
    return samples, np.array(files.labels, np.int64) if files.classes else None


def _prepare(paths: Sequence[Path], steps: Steps, shape: tuple[int, ...], folder: Path) -> list[Array]:
    if isinstance(steps, SpeechSteps):
        return [recording(path, steps) for path in paths]
    registry.require(_PILLOW, "reading images")
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise DataError(
            f"the model's input has the shape {shape}, and images have (1, height, width, 1 or 3)",
            where=str(folder),
            next_step="prepare them yourself: an .npz, or module:function",
            shape=list(shape),
        )
    return [image(path, steps, (shape[1], shape[2]), shape[3]) for path in paths]


def find_files(folder: Path, suffixes: tuple[str, ...]) -> Files:
    """The files of a folder, or of its sub-folders, whose names are classes then.

    Classes are numbered in the order of their names (of their numbers, if all are), or of the lines of `classes.txt`.
    A file instead of a folder stands for itself.

    Raises:
        DataError: there are none, or sub-folders that `classes.txt` doesn't have.
    """
    if folder.is_file():
        return Files((folder,))
    if not folder.is_dir():
        raise DataError("there is no such file or folder", where=str(folder), next_step="check the path")
    direct = _of_kind(folder, suffixes)
    if direct:
        return Files(direct)
    folders = {p.name: found for p in folder.iterdir() if p.is_dir() and (found := _of_kind(p, suffixes))}
    if not folders:
        raise DataError(
            f"holds no {suffixes[0]}{' and the like' if len(suffixes) > 1 else ''} files, nor do its sub-folders",
            where=str(folder),
            next_step="name the folder of the files, or the one above a sub-folder per class",
        )
    classes = _classes(folder, set(folders))
    labelled = [(path, number) for number, name in enumerate(classes) for path in folders.get(name, ())]
    return Files(tuple(p for p, _ in labelled), classes, tuple(n for _, n in labelled))


def _of_kind(folder: Path, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.is_file()))


def _classes(folder: Path, names: set[str]) -> tuple[str, ...]:
    listed = folder / CLASS_FILE
    if listed.is_file():
        order = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        unknown = sorted(names - set(order))
        if unknown:
            raise DataError(
                f"the sub-folders {', '.join(unknown[:5])} are not among the {len(order)} classes of {CLASS_FILE}",
                where=str(folder),
                next_step=f"write one class per line, in the order of the model's outputs, into {CLASS_FILE}",
            )
        return tuple(order)
    if all(name.isdecimal() for name in names):
        highest = max(int(name) for name in names)
        by_number = {int(name): name for name in names}
        return tuple(by_number.get(i, str(i)) for i in range(highest + 1))
    return tuple(sorted(names))


def _thinned(files: Files, sample_bytes: int, limit: int | None, notices: list[str]) -> Files:
    """At most so many files, evenly over each class."""
    most = min(limit or len(files.paths), max(1, MAX_BYTES // sample_bytes))
    if len(files.paths) <= most:
        return files
    chosen = np.unique(np.linspace(0, len(files.paths) - 1, most).round().astype(int))
    notices.append(f"{len(chosen)} of {len(files.paths)} files are read, evenly chosen")
    labels = tuple(files.labels[i] for i in chosen) if files.labels else ()
    return Files(tuple(files.paths[i] for i in chosen), files.classes, labels)


def image(path: Path, steps: ImageSteps, size: tuple[int, int], channels: int) -> npt.NDArray[np.float32]:
    """One picture, shape (*size, channels).

    Args:
        size: (height, width) of the model's input.

    Raises:
        DataError: it can't be read, or has another size than the model's after `resize` without `crop`.
    """
    from PIL import Image, ImageOps

    color = steps.color or ("gray" if channels == 1 else "rgb")
    if (color == "gray") != (channels == 1):
        raise DataError(
            f"color={color} gives {1 if color == 'gray' else 3} channels, but the model takes {channels}",
            where=str(path),
            next_step="choose color=gray for one channel, rgb or bgr for three",
        )
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if color == "gray" else "RGB")
    except Exception as damaged:  # Pillow raises whatever its decoders meet
        raise DataError(
            f"can't be read as an image: {damaged}", where=str(path), next_step="remove it, or save it again"
        ) from damaged
    pixels = np.asarray(_sized(picture, steps, size), np.float32).reshape(*size, -1)
    if color == "bgr":
        pixels = pixels[..., ::-1]
    for name, values in (("mean", steps.mean), ("std", steps.std)):
        if len(values) not in (1, channels):
            raise DataError(
                f"{name} has {len(values)} values, and the model {channels} channels",
                where=str(path),
                next_step="give one value, or one per channel in the order of color=",
            )
    mean, std = np.array(steps.mean, np.float32), np.array(steps.std, np.float32)
    return np.ascontiguousarray((pixels * np.float32(steps.scale) - mean) / std, np.float32)


def _sized(picture: Any, steps: ImageSteps, size: tuple[int, int]) -> Any:
    from PIL import Image

    how = getattr(Image.Resampling, steps.interpolation.upper())
    height, width = size
    if len(steps.resize) == 1 or (steps.crop and not steps.resize):
        factors = (
            [steps.resize[0] / min(picture.size)] if steps.resize else [width / picture.width, height / picture.height]
        )
        factor = max(factors)
        scaled = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
        picture = picture.resize(scaled, how)
    else:
        wanted = steps.resize or size
        picture = picture.resize((wanted[1], wanted[0]), how)
    if steps.crop:
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        return picture.crop((left, top, left + width, top + height))
    return picture if picture.size == (width, height) else picture.resize((width, height), how)


def recording(path: Path, steps: SpeechSteps) -> npt.NDArray[np.float32]:
    """The coefficients of one `.wav`, shape (frames, coefficients).

    Raises:
        DataError: it can't be read, or has another sampling rate.
    """
    samples, rate = read_wav(path)
    if rate != steps.rate_hz:
        raise DataError(
            f"was recorded at {rate} Hz, and the features are of {steps.rate_hz} Hz",
            where=str(path),
            next_step=f"resample it (sox in.wav -r {steps.rate_hz} out.wav), or name its rate: rate={rate}",
            rate_hz=rate,
        )
    if steps.peak and samples.size and samples.max() > 0:
        samples = samples / samples.max()
    length = round(steps.seconds * rate)
    filled = np.zeros(length)
    filled[: min(length, len(samples))] = samples[:length]
    return mfcc(
        filled,
        rate_hz=rate,
        window_ms=steps.window_ms,
        stride_ms=steps.stride_ms,
        mel_bins=steps.mel_bins,
        low_hz=steps.low_hz,
        high_hz=steps.high_hz,
        coefficients=steps.coefficients,
    )


def read_wav(path: Path) -> tuple[npt.NDArray[np.float64], int]:
    """(samples from -1 to 1, channels averaged; sampling rate in Hz) of a PCM file of 8, 16, 24 or 32 bits.

    Raises:
        DataError: it can't be read as such.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError, OSError) as damaged:
        raise DataError(
            f"can't be read as a .wav: {damaged or 'it ends too early'}",
            where=str(path),
            next_step="save it as PCM: sox in -e signed-integer -b 16 out.wav",
        ) from damaged
    raw = raw[: len(raw) // (width * channels) * width * channels]
    if width == 1:
        values = (raw.astype(np.float64) - 128) / 128  # 8 bits are unsigned
    else:
        padded = np.zeros((raw.size // width, 4), np.uint8)
        padded[:, 4 - width :] = raw.reshape(-1, width)
        values = padded.view("<i4").reshape(-1).astype(np.float64) / 2**31
    return values.reshape(-1, channels).mean(axis=1), rate


def what_kind(folder: Path) -> str:
    """ "images" or "recordings" when a folder (or its sub-folders) holds such, else ""."""
    inside = list(folder.iterdir())
    names = [p.suffix.lower() for p in inside] + [q.suffix.lower() for p in inside if p.is_dir() for q in p.iterdir()]
    count = Counter("images" if s in IMAGES else "recordings" if s in RECORDINGS else "" for s in names)
    del count[""]
    return max(count, key=lambda kind: count[kind]) if count else ""


def unprepared(folder: Path, kind: str) -> DataError:
    """A folder of files for which nobody has said how they were prepared."""
    names = [name for name, (steps, _) in PRESETS.items() if isinstance(steps, SpeechSteps) == (kind == "recordings")]
    return DataError(
        f"is a folder of {kind}; they must be prepared as they were for training",
        where=str(folder),
        next_step=f"say how with --preprocess: {', '.join(names)}, or key=value,… (docs/data.md)",
        presets=names,
    )
