"""The ONNX side: `SOURCE FOLDER` on the command line, one JSON object on stdout.

Runs where `onnx` and `onnxruntime` are: edgeq's own environment or one made for it, so it imports only
`worker_side` of edgeq.
Writes into FOLDER

    graph.json    nodes, ends and the shape of every tensor, after onnxruntime's own basic simplification
    weights.bin   the constants, one after the other
    check.npz     random inputs and what the original model, not simplified, makes of them

The file is a model, not a program: nothing in it is executed but its operators, and custom ones are refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeq.importers.worker_side import WorkerError, answer, first_line

SAMPLES = 3
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def read(source: Path, folder: Path) -> dict[str, object]:
    """Do the work; the answer's fields."""
    import onnx
    import onnxruntime

    model = _loaded(source)
    _refuse_quantized(model)
    notices = _freeze_batch(model)
    fixed = folder / "fixed.onnx"
    simple = folder / "simple.onnx"
    _save(model, fixed)
    notices += _write_check(fixed, folder / "check.npz", onnxruntime)
    _simplify(fixed, simple, onnxruntime)
    graph = onnx.load(str(simple))
    shapes = _every_shape(graph, folder, onnxruntime)
    described = _described(graph, shapes, folder)
    (folder / "graph.json").write_text(json.dumps(described))
    fixed.unlink()
    simple.unlink()
    return {"notices": notices, "against": f"onnxruntime {onnxruntime.__version__}", "producer": model.producer_name}


def _loaded(source: Path) -> Any:
    import onnx

    try:
        model = onnx.load(str(source))
        if not model.graph.output:
            raise ValueError("it has no outputs")
        return model
    except Exception as failed:  # protobuf's DecodeError, onnx's own, FileNotFoundError of external data
        raise WorkerError(
            "unreadable", f"can't be read as an ONNX model: {first_line(failed)}", "export it again", str(failed)
        ) from failed


def _refuse_quantized(model: Any) -> None:
    found = [node.op_type for node in model.graph.node if node.op_type in _QUANTIZED]
    if found:
        raise WorkerError(
            "unsupported",
            f"is quantized already: {len(found)} of {len(model.graph.node)} operators are {found[0]} and the like",
            "convert the float model it was made from",
        )


def _freeze_batch(model: Any) -> list[str]:
    """Fix an open first dimension of every input at 1, and forget shapes written for it."""
    constants = {tensor.name for tensor in model.graph.initializer}
    frozen = []
    for value in model.graph.input:
        if value.name in constants or not value.type.HasField("tensor_type"):
            continue
        dims = value.type.tensor_type.shape.dim
        open_at = [i for i, dim in enumerate(dims) if not dim.HasField("dim_value") or dim.dim_value <= 0]
        if any(i != 0 for i in open_at):
            shape = ", ".join("?" if i in open_at else str(dim.dim_value) for i, dim in enumerate(dims))
            raise WorkerError(
                "unsupported",
                f"input '{value.name}' has the shape ({shape}): only an open batch (dimension 0) can be frozen to 1",
                "export the model with a fixed input shape",
            )
        if open_at:
            dims[0].dim_value = 1
            frozen.append(value.name)
    if frozen:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
    return []


def _save(model: Any, path: Path) -> None:
    import onnx

    if model.ByteSize() < 1 << 30:
        onnx.save(model, str(path))
    else:  # protobuf ends at 2 GB
        onnx.save(model, str(path), save_as_external_data=True, location=path.name + ".data")


def _session(path: Path, onnxruntime: Any, *, optimize: bool, save_to: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if optimize else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if save_to is not None:
        options.optimized_model_filepath = str(save_to)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as refused:  # onnxruntime raises its own types for what it doesn't like
        text = str(refused)
        custom = any(words in text for words in ("No Op registered", "not a registered function", "custom op"))
        raise WorkerError(
            "unsupported" if custom else "unreadable",
            f"onnxruntime refused the model: {first_line(refused)}",
            "replace custom operators by ONNX's own" if custom else "check it with onnx.checker, or export it again",
            text,
        ) from refused


def _simplify(source: Path, target: Path, onnxruntime: Any) -> None:
    """onnxruntime's basic level: constants folded, batch norms folded into convolutions, identities gone."""
    _session(source, onnxruntime, optimize=True, save_to=target)


def _write_check(model: Path, target: Path, onnxruntime: Any) -> list[str]:
    import numpy as np

    session = _session(model, onnxruntime, optimize=False)
    ends = session.get_inputs()
    names = [end.name for end in session.get_outputs()]
    arrays: dict[str, Any] = {}
    for number in range(SAMPLES):
        failure: Exception | None = None
        for highest in (10, 2, 1):  # indices must lie within tables that nobody knows here
            feed = {end.name: random_input(end.shape, end.type, number, highest) for end in ends}
            try:
                outputs = session.run(names, feed)
                break
            except Exception as failed:
                failure = failed
        else:
            raise WorkerError(
                "unsupported",
                f"onnxruntime can't run the model on random inputs: {first_line(failure)}",
                "check that the model itself runs on one sample",
                str(failure),
            )
        for place, end in enumerate(ends):
            arrays[f"input {number} {place}"] = feed[end.name]
        for place, output in enumerate(outputs):
            arrays[f"output {number} {place}"] = np.asarray(output)
    np.savez(target, **arrays)
    return []


def random_input(shape: Sequence[Any], kind: str, number: int, highest: int) -> Any:
    """Normal, then uniform in 0 to 1, then four times as wide; integers below `highest`."""
    import numpy as np

    rng = np.random.default_rng(number)
    lengths = [int(d) if isinstance(d, int) else 1 for d in shape]
    numpy_type = {"float": "float32", "double": "float64"}.get(kind[7:-1], kind[7:-1])  # tensor(float)
    if numpy_type == "bool":
        return rng.integers(0, 2, lengths).astype(bool)
    if numpy_type.startswith(("int", "uint")):
        return rng.integers(0, highest, lengths).astype(numpy_type)
    values = rng.random(lengths) if number == 1 else rng.standard_normal(lengths) * (4.0 if number == 2 else 1.0)
    return values.astype(numpy_type if numpy_type.startswith("float") else "float32")


def _every_shape(model: Any, folder: Path, onnxruntime: Any) -> dict[str, tuple[list[int], str]]:
    """Shape and type of every tensor, by running the model once with all of them as outputs."""
    import numpy as np
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    there = {value.name for value in watched.graph.output}
    for node in watched.graph.node:
        for name in node.output:
            if name and name not in there:
                watched.graph.output.append(onnx.ValueInfoProto(name=name))
                there.add(name)
    path = folder / "watched.onnx"
    _save(watched, path)
    session = _session(path, onnxruntime, optimize=False)
    check = np.load(folder / "check.npz")
    feed = {end.name: check[f"input 0 {place}"] for place, end in enumerate(session.get_inputs())}
    names = [end.name for end in session.get_outputs()]
    shapes = {}
    for name, value in zip(names, session.run(names, feed), strict=True):
        array = np.asarray(value)
        shapes[name] = ([int(d) for d in array.shape], array.dtype.name)
    for end in session.get_inputs():
        shapes[end.name] = ([int(d) for d in feed[end.name].shape], feed[end.name].dtype.name)
    path.unlink()
    return shapes


def _described(model: Any, shapes: dict[str, tuple[list[int], str]], folder: Path) -> dict[str, object]:
    from onnx import numpy_helper

    constants: dict[str, object] = {}
    with (folder / "weights.bin").open("wb") as stream:

        def keep(name: str, array: Any) -> None:
            if array.dtype.kind not in "fiub":  # bfloat16 and smaller floats, which numpy itself doesn't have
                array = array.astype("float32" if array.dtype.kind == "V" else "uint8")
            constants[name] = {"shape": list(array.shape), "dtype": array.dtype.name, "offset": stream.tell()}
            stream.write(array.tobytes())
            stream.write(bytes(-stream.tell() % 16))

        for tensor in model.graph.initializer:
            keep(tensor.name, numpy_helper.to_array(tensor))
        nodes = []
        for number, node in enumerate(model.graph.node):
            attributes = {}
            for attribute in node.attribute:
                value = _plain(attribute)
                if value is None:
                    name = f"{node.op_type}_{number}.{attribute.name}"
                    keep(name, numpy_helper.to_array(attribute.t))
                    value = {"constant": name}
                attributes[attribute.name] = value
            nodes.append(
                {
                    "op": node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}",
                    "name": node.name,
                    "inputs": list(node.input),
                    "outputs": list(node.output),
                    "attributes": attributes,
                }
            )
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return {
        "opset": opsets.get("", opsets.get("ai.onnx", 1)),
        "nodes": nodes,
        "constants": constants,
        "shapes": shapes,
        "inputs": [value.name for value in model.graph.input if value.name not in constants],
        "outputs": [value.name for value in model.graph.output],
    }


def _plain(attribute: Any) -> Any:
    """The attribute as JSON has it; None where it is a tensor."""
    from onnx import AttributeProto

    kinds = AttributeProto
    if attribute.type == kinds.TENSOR:
        return None
    if attribute.type == kinds.FLOAT:
        return attribute.f
    if attribute.type == kinds.INT:
        return attribute.i
    if attribute.type == kinds.STRING:
        return attribute.s.decode(errors="replace")
    if attribute.type == kinds.FLOATS:
        return list(attribute.floats)
    if attribute.type == kinds.INTS:
        return list(attribute.ints)
    if attribute.type == kinds.STRINGS:
        return [text.decode(errors="replace") for text in attribute.strings]
    return {"unsupported": AttributeProto.AttributeType.Name(attribute.type)}


def main(argv: Sequence[str]) -> int:
    """Answer one request."""
    source, folder = argv
    return answer(lambda: read(Path(source), Path(folder)), "`edgeq doctor` shows what is installed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
