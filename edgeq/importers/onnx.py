"""ONNX models, by edgeq's own lowering. Why not another converter: docs/importing.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq.events import Listener, Progress
from edgeq.importers.contract import ImportOptions, Model
from edgeq.importers.environments import python_for
from edgeq.importers.lowering import OnnxGraph, emit, lower
from edgeq.importers.plain_float import plain_float
from edgeq.importers.verification import verify
from edgeq.importers.worker import ask


def load(source: Path | object, listener: Listener, options: ImportOptions) -> Model:
    """Convert an ONNX file: channels last, batch 1, verified against onnxruntime.

    Raises:
        ModelFileError: the file can't be read.
        UnsupportedError: open dimensions, operators that can't be had, quantized already, or a result that differs.
        MissingDependencyError: onnx and onnxruntime are installed nowhere.
    """
    assert isinstance(source, Path)
    with tempfile.TemporaryDirectory(prefix="edgeq-import-") as folder:
        return from_onnx(source, source, Path(folder), listener, options, "onnx")


def from_onnx(
    model: Path,
    source: Path,
    folder: Path,
    listener: Listener,
    options: ImportOptions,
    kind: str,
    *,
    python: Path | None = None,
    name: str = "",
) -> Model:
    """Read an ONNX file in its own process and lower it.

    Args:
        model: the ONNX file.
        source: what it stands for in messages.
        folder: a scratch folder. An `original.npz` in it, with what the original framework computes, is compared
            with instead of onnxruntime's results; `original.txt` names that framework then.
        python: the interpreter that has onnx.
    """
    listener(Progress("import", 0, None, detail=f"onnxruntime reads {model.name}"))
    shown = str(source)
    answer = ask(
        python or python_for("onnx", options.environments),
        "onnx_worker",
        [model.resolve(), folder],
        framework="onnxruntime",
        source=source,
        folder=folder,
        advice="`edgeq doctor` shows what is installed",
    )
    listener(Progress("import", 1, None, detail="operators"))
    try:
        graph = OnnxGraph.read(folder)
        net = lower(graph)
        data = emit(net, graph.inputs, graph.outputs)
        check, against = _original(folder, str(answer["against"]))
        verified = verify(data, check, graph.inputs, graph.outputs, net.layouts, against=against, where=shown)
    except EdgeqError as error:
        error.where = error.where or shown
        raise
    listener(Progress("import", 1, 1))
    return plain_float(
        data, name=name or source.stem, source=shown, kind=kind, layouts=net.layouts, verification=verified
    )


def _original(folder: Path, onnxruntime: str) -> tuple[Path, str]:
    named = folder / "original.txt"
    if named.is_file():
        return folder / "original.npz", named.read_text().strip()
    return folder / "check.npz", onnxruntime
