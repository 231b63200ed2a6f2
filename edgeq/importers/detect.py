"""What a model is, by its content rather than by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgeq.errors import ModelFileError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"

_EXPORT = "load it in Python and export the network: torch.export.save(torch.export.export(module, (x,)), 'model.pt2')"
# What people pass by mistake, by the first bytes: (bytes, what it is, what to do)
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x7fELF", "a program (ELF)", "name the model, not the firmware made from it"),
    (b"\x93NUMPY", "a numpy array (.npy)", "data goes to --representative-data"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x80\x02", "a Python pickle (a PyTorch checkpoint?)", _EXPORT),
    (b"\x80\x04", "a Python pickle", "save the model with model.save('model.keras')"),
    (b"GGUF", "a GGUF language model", "edgeq is for networks that fit a microcontroller"),
)


def kind_of(source: Path | str | object) -> str:
    """The importer that reads `source`: a name in `edgeq.registry.IMPORTERS`.

    Raises:
        ModelFileError: there is no such file, or it is something else; the message says what.
    """
    if not isinstance(source, str | Path):
        if is_keras_model(source):
            return "keras"
        if torch_kind(source):
            return "torch"
        raise ModelFileError(
            f"a {type(source).__module__}.{type(source).__qualname__} is neither a path nor a model",
            next_step="pass a path, a keras.Model, a torch.nn.Module or a torch.export.ExportedProgram",
        )
    path = Path(source)
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except FileNotFoundError:
        raise ModelFileError("there is no such file", where=str(path), next_step="check the path") from None
    except OSError as failed:
        raise ModelFileError(f"can't be read: {failed.strerror}", where=str(path)) from failed
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(_HDF5):
        return "keras"
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    # Protocol buffers have no magic number: the first field of an ONNX model is its version, field 1, one byte long.
    if head[:1] == b"\x08" and path.name != "saved_model.pb" and (path.suffix == ".onnx" or _names_onnx(head)):
        return "onnx"
    raise _something_else(path, head)


def _names_onnx(head: bytes) -> bool:
    """IR version 3 to 31, then one of the fields 2 to 8: producer, domain, text, graph, opset."""
    return len(head) > 4 and 3 <= head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


def torch_kind(source: object) -> str:
    """ "module", "program" or "" for an object of PyTorch; nothing is imported."""
    for base in type(source).__mro__:
        if base.__module__.startswith("torch.nn") and base.__name__ == "Module":
            return "module"
        if base.__module__.startswith("torch.export") and base.__name__ == "ExportedProgram":
            return "program"
    return ""


def is_keras_model(source: object) -> bool:
    """Whether an object is a Keras model (of Keras 3, tf.keras or tf_keras); nothing is imported."""
    return any(
        base.__name__ == "Model" and base.__module__.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
        for base in type(source).__mro__
    )


def _kind_of_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return "savedmodel"
    inside = sorted(p.name for p in path.iterdir())[:5]
    raise ModelFileError(
        "is a folder without a saved_model.pb" + (f" (it holds {', '.join(inside)})" if inside else " (empty)"),
        where=str(path),
        next_step="name the SavedModel folder itself, or a .keras, .h5, .onnx, .pt2 or .tflite file",
    )


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        raise ModelFileError(
            "starts like a .keras file (zip) but is truncated or damaged",
            where=str(path),
            next_step="save or download the model again",
        ) from None
    if {"config.json", "metadata.json"} <= names:
        return "keras"
    if any(name.endswith(".npy") for name in names):
        raise ModelFileError(
            "is a numpy archive (.npz), not a model",
            where=str(path),
            next_step="data goes to --representative-data",
        )
    if any(
        name.endswith(("archive_format", "models/model.json", "serialized_exported_program.json")) for name in names
    ):
        return "torch"
    if any(name.endswith("data.pkl") for name in names):
        raise ModelFileError(
            "is a PyTorch checkpoint (or TorchScript): weights, or code, that edgeq doesn't unpickle",
            where=str(path),
            next_step=_EXPORT,
        )
    raise ModelFileError(
        "is a zip archive but not a .keras file (no config.json and metadata.json inside)",
        where=str(path),
        next_step="name a .keras, .h5, .onnx, .pt2 or .tflite file, or a SavedModel folder",
    )


def _something_else(path: Path, head: bytes) -> ModelFileError:
    if not head:
        return ModelFileError("is empty", where=str(path), next_step="save or download the model again")
    for magic, what, step in _OTHERS:
        if head.startswith(magic):
            return ModelFileError(f"is {what}, not a model edgeq can convert", where=str(path), next_step=step)
    if path.name == "saved_model.pb":
        return ModelFileError(
            "is one file of a SavedModel",
            where=str(path),
            next_step=f"name the folder: {path.parent}",
        )
    return ModelFileError(
        "is not a model edgeq knows",
        where=str(path),
        next_step="name a .keras, .h5, .onnx, .pt2 or .tflite file, or a SavedModel folder",
        first_bytes=head[:8].hex(),
    )
