"""Several signatures in one `.tflite`: the one that is meant is taken, or the choice is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from models import NetBuilder

from edgeq import importers
from edgeq.errors import UnsupportedError, UsageError
from edgeq.importers import ImportOptions
from edgeq.quantize.calibration import FloatRunner
from edgeq.tflite.objects import pack


def several(path: Path, *kinds: str, names: tuple[str, ...] = ()) -> Path:
    """One operator per subgraph, each with a signature named after it."""
    models = []
    for kind in kinds:
        net = NetBuilder()
        x = net.input((1, 4), name="x")
        net.finish([net.op(kind, [x], (1, 4), name="y")])
        models.append(net.model)
    first = models[0]
    first.signatureDefs = []
    for number, (model, kind) in enumerate(zip(models, kinds, strict=True)):
        subgraph = model.subgraphs[0]
        if number:
            code = model.operatorCodes[0]
            first.operatorCodes.append(code)
            subgraph.operators[0].opcodeIndex = number
            first.subgraphs.append(subgraph)
        signature: Any = schema.SignatureDefT()
        signature.signatureKey = names[number] if names else kind.lower()
        signature.subgraphIndex = number
        signature.inputs, signature.outputs = [_end("in", 0)], [_end("out", 1)]
        first.signatureDefs.append(signature)
    path.write_bytes(pack(first))
    return path


def _end(name: str, tensor: int) -> Any:
    end: Any = schema.TensorMapT()
    end.name, end.tensorIndex = name, tensor
    return end


@pytest.mark.parametrize(("name", "function"), [("tanh", np.tanh), ("abs", np.abs)])
def test_the_one_that_is_named(tmp_path: Path, name: str, function: Any) -> None:
    path = several(tmp_path / "m.tflite", "TANH", "ABS")
    model = importers.load(path, options=ImportOptions(signature=name))
    assert [op.kind for op in model.graph.ops] == [name.upper()]
    assert model.inputs == ("in",) and model.outputs == ("out",)
    sample = np.array([[-1, 0, 0.5, 2]], np.float32)
    np.testing.assert_allclose(FloatRunner(model).run([sample])[0], function(sample), rtol=1e-5)


def test_the_choice_is_asked_for_with_the_list(tmp_path: Path) -> None:
    path = several(tmp_path / "m.tflite", "TANH", "ABS")
    with pytest.raises(UsageError, match=r"2 signatures and none is 'serving_default': tanh, abs(.|\n)*ture tanh"):
        importers.load(path)
    with pytest.raises(UsageError, match=r"no signature 'relu'(.|\n)*tanh, abs"):
        importers.load(path, options=ImportOptions(signature="relu"))


def test_the_serving_one_is_taken_unasked(tmp_path: Path) -> None:
    path = several(tmp_path / "m.tflite", "TANH", "ABS", names=("encode", "serving_default"))
    assert [op.kind for op in importers.load(path).graph.ops] == ["ABS"]


def test_one_that_calls_others_is_refused(tmp_path: Path) -> None:
    path = several(tmp_path / "m.tflite", "TANH", "CALL_ONCE")
    with pytest.raises(UnsupportedError, match="'call_once' calls other subgraphs"):
        importers.load(path, options=ImportOptions(signature="call_once"))
