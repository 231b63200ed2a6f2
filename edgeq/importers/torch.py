"""PyTorch: programs saved by torch.export, and modules in this process; through ONNX. Why: docs/importing.md."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgeq.errors import UnsupportedError, UsageError
from edgeq.events import Listener, Progress
from edgeq.importers.contract import ImportOptions, Model
from edgeq.importers.detect import torch_kind
from edgeq.importers.environments import python_for
from edgeq.importers.onnx import from_onnx
from edgeq.importers.worker import ask


def load(source: Path | object, listener: Listener, options: ImportOptions) -> Model:
    """Convert a `.pt2`, an ExportedProgram, or a module with example inputs; verified against PyTorch.

    Raises:
        UsageError: a module without example inputs.
        ModelFileError: the file can't be read.
        UnsupportedError: it can't be exported, operators that can't be had, or a result that differs.
        MissingDependencyError: torch, onnx and onnxscript are installed nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="edgeq-import-") as scratch:
        folder = Path(scratch)
        if isinstance(source, Path):
            return _from_program(source, source, folder, listener, options, name=source.stem)
        saved = folder / "module.pt2"
        name = _save(source, saved, options)
        return _from_program(saved, Path(name), folder, listener, options, name=name, own=True)


def _from_program(
    program: Path,
    source: Path,
    folder: Path,
    listener: Listener,
    options: ImportOptions,
    *,
    name: str,
    own: bool = False,
) -> Model:
    listener(Progress("import", 0, None, detail=f"PyTorch reads {source.name}"))
    python = python_for("torch", options.environments, prefer_own=own)
    ask(
        python,
        "torch_worker",
        [program.resolve(), folder],
        framework="PyTorch",
        source=source,
        folder=folder,
        environment={"CUDA_VISIBLE_DEVICES": "-1", "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")},
        advice="`edgeq doctor` shows what is installed",
    )
    return from_onnx(folder / "model.onnx", source, folder, listener, options, "torch", python=python, name=name)


def _save(source: Any, target: Path, options: ImportOptions) -> str:
    """Export an object of this process, where torch is loaded already; gives its name."""
    import torch

    if torch_kind(source) == "program":
        torch.export.save(source, target)
        return "program"
    name = type(source).__name__
    examples = options.example_inputs
    if examples is None:
        raise UsageError(
            f"the module {name} doesn't say what shape its inputs have",
            next_step="edgeq.convert(module, example_inputs=(torch.zeros(1, 3, 32, 32),), …), "
            "or pass torch.export.export(module, (x,))",
        )
    given = examples if isinstance(examples, tuple) else (examples,)
    was_training = source.training
    try:
        source.eval()
        args, kwargs = ((), given[0]) if len(given) == 1 and isinstance(given[0], dict) else (given, {})
        program = torch.export.export(source, args, kwargs)
        torch.export.save(program, target)
    except Exception as failed:  # torch.export has many
        raise UnsupportedError(
            f"torch.export can't export the module: {str(failed).strip().splitlines()[0]}",
            where=name,
            next_step="its documentation says which Python a forward may hold",
            detail=str(failed)[-4000:],
        ) from failed
    finally:
        source.train(was_training)
    return name
