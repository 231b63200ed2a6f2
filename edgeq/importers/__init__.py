"""Models of other frameworks, as a plain float `.tflite` each."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgeq import registry
from edgeq.errors import UsageError
from edgeq.events import Listener, Notice, silent
from edgeq.importers.contract import Importer, ImportOptions, Model
from edgeq.importers.detect import kind_of

__all__ = ["ImportOptions", "Model", "kind_of", "load"]

_HAVE_SIGNATURES = ("savedmodel", "tflite")


def load(
    source: Path | str | object,
    listener: Listener = silent,
    options: ImportOptions = ImportOptions(),  # noqa: B008 - frozen
) -> Model:
    """Read any model that edgeq can convert.

    Args:
        source: a `.keras`, `.h5`, `.onnx`, `.pt2` or float `.tflite` file, a SavedModel folder, a Keras model, a
            torch.nn.Module or a torch.export.ExportedProgram.

    Raises:
        ModelFileError: it can't be read, or is something else; the message says what.
        UnsupportedError: it can be read but not converted: already quantized, custom layers, open dimensions, or it
            computes something else after conversion.
        UsageError: the signature named isn't there, or one must be named.
        MissingDependencyError: the framework is needed and not installed.
    """
    kind = kind_of(source)
    if options.signature and kind not in _HAVE_SIGNATURES:
        raise UsageError(
            f"{kind} models have no signatures, and '{options.signature}' was named",
            next_step="leave --signature out",
            kind=kind,
        )
    importer = cast(Importer, registry.load(registry.IMPORTERS, kind, "importer"))
    model = importer(Path(source) if isinstance(source, str) else source, listener, options)
    told = list(model.notices)
    told += [_layout_notice(model, name, axes) for name, axes in model.layouts.items()]
    if model.verification is not None:
        told.append(model.verification.sentence())
    for text in told:
        listener(Notice(text, "import"))
    return model


def _layout_notice(model: Model, name: str, axes: tuple[int, ...]) -> str:
    ends = dict(zip(model.inputs, model.graph.inputs, strict=True))
    ends |= dict(zip(model.outputs, model.graph.outputs, strict=True))
    shape = model.graph.tensors[ends[name]].shape
    kind = "input" if name in model.inputs else "output"
    letters = {3: "NCW", 4: "NCHW", 5: "NCDHW"}.get(len(axes), "")
    before, after = letters, "".join(letters[a] for a in axes) if letters else f"axes {axes}"
    return f"{kind} '{name}' has its channels last now: {before} became {after}, {shape}"
