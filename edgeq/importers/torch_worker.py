"""The PyTorch side: `SOURCE FOLDER` on the command line, one JSON object on stdout.

Runs where torch, onnx and onnxscript are: edgeq's own environment or one made for it, so it imports only
`worker_side` of edgeq.
Reads a program saved with torch.export.save, and writes into FOLDER

    model.onnx      the program as torch.onnx exports it, its batch fixed at 1
    original.npz    random inputs and what PyTorch makes of them
    original.txt    "PyTorch VERSION"
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeq.importers.worker_side import WorkerError, answer, first_line

SAMPLES = 3
OPSET = 20  # the first with GELU as one operator


def read(source: Path, folder: Path) -> dict[str, object]:
    """Do the work; the answer's fields."""
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    program = _loaded(source, torch)
    names = _input_names(program)
    examples = _examples(program)
    program, examples = _with_batch_of_one(program, examples, names, torch)
    exported = _exported(program, examples, folder / "model.onnx", torch)
    _write_check(program, examples, names, folder, torch)
    (folder / "original.txt").write_text(f"PyTorch {torch.__version__.partition('+')[0]}")
    return {"opset": exported}


def _loaded(source: Path, torch: Any) -> Any:
    try:
        return torch.export.load(str(source))
    except Exception as failed:  # torch raises whatever its deserializers do
        raise WorkerError(
            "unreadable",
            f"PyTorch {torch.__version__} can't load this program: {first_line(failed)}",
            "save it with torch.export.save(torch.export.export(module.eval(), (x,)), 'model.pt2')",
            str(failed),
        ) from failed


def _input_names(program: Any) -> list[str]:
    return [str(name) for name in program.graph_signature.user_inputs]


def _examples(program: Any) -> list[Any]:
    """The inputs as tensors, flat, in the order of the program's signature."""
    import torch
    from torch.utils import _pytree

    places = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for name in program.graph_signature.user_inputs:
        value = places[name].meta.get("val") if isinstance(name, str) and name in places else None
        if not isinstance(value, torch.Tensor):
            raise WorkerError(
                "unsupported",
                f"input '{name}' is no tensor",
                "export a module whose forward takes tensors only",
            )
        found.append(value)
    kwargs = _pytree.tree_leaves(program.example_inputs[1]) if program.example_inputs else []
    if kwargs and len(kwargs) == len(found):
        pass  # inputs given by name come in the signature's order too
    return found


def _with_batch_of_one(program: Any, examples: list[Any], names: list[str], torch: Any) -> tuple[Any, list[Any]]:
    """Inputs as zeros of their shapes, an open batch as 1; the program as it is, since it takes any batch then."""
    made = []
    for value, name in zip(examples, names, strict=True):
        shape = [d if isinstance(d, int) else None for d in value.shape]
        open_at = [i for i, d in enumerate(shape) if d is None]
        if any(i != 0 for i in open_at):
            text = ", ".join("?" if d is None else str(d) for d in shape)
            raise WorkerError(
                "unsupported",
                f"input '{name}' has the shape ({text}): only an open batch (dimension 0) can be frozen to 1",
                "export the module with fixed shapes: torch.export.export(module, (x,)) without dynamic_shapes",
            )
        made.append(torch.zeros([1 if d is None else d for d in shape], dtype=value.dtype))
    return program, made


def _exported(program: Any, examples: list[Any], target: Path, torch: Any) -> int:
    try:
        made = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
        made.save(str(target))
    except Exception as failed:  # torch.onnx has many
        raise WorkerError(
            "unsupported",
            f"torch.onnx can't export the program: {_reason(failed)}",
            "replace the layers named above",
            str(failed),
        ) from failed
    return OPSET


def _write_check(program: Any, examples: list[Any], names: list[str], folder: Path, torch: Any) -> None:
    import numpy as np
    from torch.utils import _pytree

    module = program.module()
    arrays: dict[str, Any] = {}
    for number in range(SAMPLES):
        failure: Exception | None = None
        for highest in (10, 2, 1):  # indices must lie within tables that nobody knows here
            feed = [_random(value, number, highest, torch) for value in examples]
            try:
                with torch.no_grad():
                    outputs = _pytree.tree_leaves(_call(program, module, feed))
                break
            except Exception as failed:
                failure = failed
        else:
            raise WorkerError(
                "unsupported",
                f"PyTorch can't run the program on random inputs: {first_line(failure)}",
                "check that the module itself runs on one sample",
                str(failure),
            )
        for place, value in enumerate(feed):
            arrays[f"input {number} {place}"] = value.numpy()
        for place, value in enumerate(v for v in outputs if isinstance(v, torch.Tensor)):
            arrays[f"output {number} {place}"] = value.numpy()
    np.savez(folder / "original.npz", **arrays)


def _call(program: Any, module: Any, feed: list[Any]) -> Any:
    """The module with its flat inputs in the structure that it was exported with."""
    from torch.utils import _pytree

    spec = program.call_spec.in_spec
    if spec is None:
        return module(*feed)
    args, kwargs = _pytree.tree_unflatten(feed, spec)
    return module(*args, **kwargs)


def _random(like: Any, number: int, highest: int, torch: Any) -> Any:
    """Normal, then uniform in 0 to 1, then four times as wide; integers below `highest`."""
    generator = torch.Generator().manual_seed(number)
    shape = list(like.shape)
    if like.dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    if not like.dtype.is_floating_point:
        return torch.randint(0, highest, shape, generator=generator).to(like.dtype)
    values = torch.rand(shape, generator=generator) if number == 1 else torch.randn(shape, generator=generator)
    return (values * (4.0 if number == 2 else 1.0)).to(like.dtype)


def _reason(failed: BaseException) -> str:
    """torch.onnx wraps the cause in pages of advice: the innermost exception says what it was."""
    inner: BaseException = failed
    while inner.__cause__ is not None:
        inner = inner.__cause__
    return first_line(inner)


def main(argv: Sequence[str]) -> int:
    """Answer one request."""
    source, folder = argv
    return answer(lambda: read(Path(source), Path(folder)), "`edgeq doctor` shows what is installed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
