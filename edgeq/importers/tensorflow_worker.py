"""The TensorFlow side: `KIND SOURCE TARGET SIGNATURE` on the command line, one JSON object on stdout.

The only module of edgeq that imports TensorFlow. It runs in a process of its own, except for a Keras object,
which is converted in the process that holds it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeq.importers.worker_side import WorkerError, answer, first_line

_CUSTOM_LAYER = (
    re.compile(r"Could not locate class '([^']+)'"),
    re.compile(r"Unknown layer: '?([^'.\s]+)'?"),
    re.compile(r"Unknown (?:object|activation function|config_item)[^']*'([^']+)'"),
    re.compile(r"class_name': '([^']+)', 'config'.*could not be deserialized", re.DOTALL),
)
_LAMBDA = re.compile(r"Lambda", re.IGNORECASE)
_NOT_BUILTIN = re.compile(r"error: '?(tf\.\w+)'? op is neither a custom op nor a flex op")
_PASS_THE_OBJECT = (
    "call edgeq.convert(model, …) from Python with the model object, or export a SavedModel (model.export(folder))"
)

LARGE_BYTES = 32 << 20
"""Models with more weights are converted through a file."""


def from_keras_file(path: Path) -> bytes:
    """Convert a `.keras` or `.h5` file."""
    if keras_version(path).startswith("2."):
        loaders = [("tf_keras", _load_with_tf_keras), ("Keras 3", _load_with_keras_3)]
    else:
        loaders = [("Keras 3", _load_with_keras_3), ("tf_keras", _load_with_tf_keras)]
    failures: list[tuple[str, Exception]] = []
    for name, load in loaders:
        try:
            model = load(path)
        except Exception as failed:  # Keras raises any type for a file it doesn't like
            failures.append((name, failed))
            continue
        return from_keras_object(model)
    raise _explain_keras_failure(failures)


def from_keras_object(model: Any) -> bytes:
    """Convert a Keras model (of either generation) with its batch fixed at 1."""
    import tensorflow as tf

    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise WorkerError(
            "unsupported",
            "the model has no input shape yet",
            "call it once on data, or give it an Input layer, before saving or converting it",
        )
    names = _input_names(tensors)
    specs = [
        tf.TensorSpec(_batch_of_one(tuple(t.shape), name), t.dtype, name=name)
        for t, name in zip(tensors, names, strict=True)
    ]

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def infer(*inputs: Any) -> Any:
        return model(_as_the_model_takes_them(model, inputs), training=False)

    with _unrolled(model):
        traced = _traced(infer, *specs)
    return _convert(traced)


def from_saved_model(folder: Path, wanted_signature: str = "") -> bytes:
    """Convert one signature of a SavedModel (the serving one unless told), with its batch fixed at 1."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as failed:
        raise WorkerError(
            "unreadable",
            f"TensorFlow can't load this SavedModel: {first_line(failed)}",
            "export the model again",
            str(failed),
        ) from failed
    signature = _signature(loaded, wanted_signature)
    wanted = signature.structured_input_signature[1]
    specs = {
        name: tf.TensorSpec(
            _batch_of_one(tuple(spec.shape.as_list()) if spec.shape.rank is not None else None, name),
            spec.dtype,
            name=name,
        )
        for name, spec in wanted.items()
    }

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def infer(**inputs: Any) -> Any:
        return signature(**inputs)

    try:
        return _convert(_traced(infer, **specs))
    except WorkerError as refused:
        if "TensorList" not in refused.detail:
            raise
        if not wanted_signature and (folder / "keras_metadata.pb").is_file():
            return from_keras_object(_load_with_tf_keras(folder))  # saved by Keras 2, which can unroll it
        raise WorkerError(
            "unsupported",
            "holds a recurrent layer as a loop over its time steps, which .tflite can't express",
            "save the model itself with model.save('model.keras'): edgeq unrolls its recurrent layers then",
            refused.detail,
        ) from refused


def _traced(function: Any, *specs: Any, **named: Any) -> Any:
    try:
        return function.get_concrete_function(*specs, **named)
    except Exception as failed:  # whatever the layers' own code raises
        raise WorkerError(
            "unsupported",
            f"TensorFlow can't run the model with batch 1: {first_line(failed)}",
            "check that the model itself runs on one sample",
            str(failed),
        ) from failed


def _convert(concrete: Any) -> bytes:
    try:
        large = sum(variable.shape.num_elements() * 4 for variable in concrete.variables) > LARGE_BYTES
        return _converted_from_disk(concrete) if large else _converted_in_memory(concrete)
    except Exception as failed:  # ConverterError, but also ValueError and RuntimeError from its passes
        text = str(failed)
        ops = sorted(set(_NOT_BUILTIN.findall(text)))
        what = (
            f"uses operators that .tflite doesn't have: {', '.join(ops)}"
            if ops
            else f"TensorFlow's converter refused the model: {first_line(failed)}"
        )
        raise WorkerError(
            "unsupported", what, "replace these layers by ones made of convolutions and the like", text
        ) from failed


def _converted_in_memory(concrete: Any) -> bytes:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Frozen here: the converter doesn't find the variables of a Keras 3 model by itself.
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], None)
    return bytes(converter.convert())


def _converted_from_disk(concrete: Any) -> bytes:
    """The same through a SavedModel, whose weights are read once instead of being copied from one Python object to the
    next: less than half the memory for large models."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = list(concrete.variables)
    with tempfile.TemporaryDirectory(prefix="edgeq-large-") as folder:
        tf.saved_model.save(module, folder, signatures=concrete)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _batch_of_one(shape: Sequence[int | None] | None, name: str) -> list[int]:
    if shape is None:
        raise WorkerError("unsupported", f"input '{name}' has no known rank", "give the model an input shape")
    if any(length is None for length in shape[1:]):
        text = ", ".join("?" if length is None else str(length) for length in shape)
        raise WorkerError(
            "unsupported",
            f"input '{name}' has the shape ({text}): only an open batch (dimension 0) can be frozen to 1",
            "build the model with a fixed input shape",
        )
    return [1 if length is None else int(length) for length in shape]


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Recurrent layers step by step instead of in a loop: only that quantizes, and microcontrollers have no loops."""
    flatten = getattr(model, "_flatten_layers", None)
    layers = list(flatten(recursive=True, include_self=False)) if flatten is not None else list(model.layers)
    recurrent = [layer for layer in layers if hasattr(layer, "unroll") and hasattr(layer, "cell")]
    # Keras 2 decided when the layer was made that a fused loop would do as well.
    changes = {"unroll": True, "_could_use_gpu_kernel": False}
    before = [{name: getattr(layer, name) for name in changes if hasattr(layer, name)} for layer in recurrent]
    try:
        for layer, old in zip(recurrent, before, strict=True):
            for name in old:
                setattr(layer, name, changes[name])
        yield
    finally:
        for layer, old in zip(recurrent, before, strict=True):
            for name, value in old.items():
                setattr(layer, name, value)


def _input_names(tensors: Sequence[Any]) -> list[str]:
    names: list[str] = []
    for index, tensor in enumerate(tensors):
        name = re.sub(r"\W", "_", str(tensor.name).partition(":")[0]) or f"input_{index}"
        names.append(name if name not in names else f"{name}_{index}")
    return names


def _as_the_model_takes_them(model: Any, inputs: Sequence[Any]) -> Any:
    """Keras takes a lone tensor, or the structure (list or dict) that the model was built with."""
    structure = getattr(model, "_inputs_struct", None)  # Keras 3
    if structure is None:
        structure = getattr(model, "_nested_inputs", None)  # Keras 2
    if isinstance(structure, dict):
        return dict(zip(structure, inputs, strict=True))
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _signature(loaded: Any, wanted: str) -> Any:
    signatures = dict(loaded.signatures)
    there = ", ".join(sorted(signatures))
    if wanted:
        if wanted not in signatures:
            raise WorkerError(
                "usage", f"it has no signature '{wanted}'", f"choose one of: {there}" if there else "export it with one"
            )
        return signatures[wanted]
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    if signatures:
        raise WorkerError(
            "usage",
            f"it has {len(signatures)} signatures and none is 'serving_default': {there}",
            f"name one with --signature, say --signature {min(signatures)}",
        )
    raise WorkerError(
        "unsupported",
        "the SavedModel has no signatures",
        "export it with model.export(folder), or tf.saved_model.save(model, folder, signatures=…)",
    )


def keras_version(path: Path) -> str:
    """The Keras that wrote the file, "" where it doesn't say."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        import h5py

        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except Exception:  # the loaders will say what is wrong with the file
        return ""


def _load_with_keras_3(path: Path) -> Any:
    import keras

    return keras.models.load_model(_with_suffix(path), compile=False)


def _load_with_tf_keras(path: Path) -> Any:
    try:
        import tf_keras
        from tf_keras.src.saving import serialization_lib
    except ImportError as missing:
        raise WorkerError(
            "missing",
            "this file was written by Keras 2, which needs tf_keras",
            "pip install 'edgeq[convert]'",
        ) from missing
    # A Lambda layer is a program in the file; running it must be asked for, and here nobody can.
    with serialization_lib.SafeModeScope(True):
        return tf_keras.models.load_model(_with_suffix(path), compile=False)


def _with_suffix(path: Path) -> str:
    """Keras goes by the suffix, edgeq by the content: a link with the right name, in the working folder."""
    if path.is_dir():
        return str(path)
    suffix = ".keras" if zipfile.is_zipfile(path) else ".h5"
    if path.suffix == suffix:
        return str(path)
    link = Path.cwd() / f"model{suffix}"
    if not link.exists():
        link.symlink_to(path)
    return str(link)


def _explain_keras_failure(failures: Sequence[tuple[str, Exception]]) -> WorkerError:
    for _, failed in failures:
        if isinstance(failed, WorkerError) and len(failures) == 1:
            return failed
    everything = "\n".join(f"{name}: {failed}" for name, failed in failures)
    for pattern in _CUSTOM_LAYER:
        found = pattern.search(everything)
        if found:
            return WorkerError(
                "unsupported",
                f"it uses the custom layer or object '{found.group(1)}', whose code is not in the file",
                _PASS_THE_OBJECT,
                everything,
            )
    if _LAMBDA.search(everything):
        return WorkerError(
            "unsupported",
            "it holds a Lambda layer: Python code in the file, which edgeq doesn't run",
            _PASS_THE_OBJECT,
            everything,
        )
    what = "; ".join(f"{name} says: {first_line(failed)}" for name, failed in failures)
    missing = [failed for _, failed in failures if isinstance(failed, WorkerError)]
    step = missing[0].next_step if missing else "save the model again with model.save('model.keras')"
    return WorkerError("missing" if missing else "unreadable", f"can't be loaded: {what}", step, everything)


def main(argv: Sequence[str]) -> int:
    """Answer one request."""
    kind, source, target, signature = argv

    def work() -> dict[str, object]:
        made = from_keras_file(Path(source)) if kind == "keras" else from_saved_model(Path(source), signature)
        Path(target).write_bytes(made)
        return {"tflite": target, "notices": []}

    return answer(work, "pip install 'edgeq[convert]'")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
