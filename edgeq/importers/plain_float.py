"""Bring a converter's `.tflite` into the one form that calibration and quantization expect.

What differs between producers, and is settled here: operator codes written only in the schema's older field,
tensor names used twice, an open batch dimension, weights stored in 8 or 16 bits beside float arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeq import tflite
from edgeq.errors import UnsupportedError
from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.importers.contract import Model
from edgeq.importers.fold_shapes import fold_shapes
from edgeq.importers.quantizable import slices_instead
from edgeq.importers.verification import Verification
from edgeq.tflite.objects import constant_buffer, pack, unpack

_INTEGERS = (DType.INT8, DType.UINT8, DType.INT16, DType.INT4)
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class _Origin:
    """What the messages and the Model say about where the bytes came from."""

    name: str
    source: str
    kind: str


def plain_float(
    data: bytes,
    *,
    name: str,
    source: str,
    kind: str,
    layouts: Mapping[str, tuple[int, ...]] | None = None,
    verification: Verification | None = None,
) -> Model:
    """Make a Model from the bytes of a float `.tflite`.

    Args:
        layouts, verification: as in Model.

    Raises:
        ModelFileError: damaged.
        UnsupportedError: already quantized, or with open dimensions other than the batch.
    """
    origin = _Origin(name, source, kind)
    graph = tflite.parse(data, source, name)
    _refuse_quantized(graph, origin)
    _refuse_open_dimensions(graph, origin)
    model = unpack(data, source or name)
    notices = list(graph.notices)
    inputs, outputs = _end_names(model, graph)
    _one_operator_code_field(model)
    notices += _float_weights(model, graph)
    _unique_names(model)
    _freeze_batch(model)
    model.metadata = None
    if _had_open_batch(graph):
        notices += fold_shapes(model)
    slices_instead(model)
    _one_signature(model, inputs, outputs)
    plain = pack(model)
    result = tflite.parse(plain, source, name)
    return Model(name, source, kind, plain, result, inputs, outputs, tuple(notices), layouts or {}, verification)


def _refuse_quantized(graph: Graph, origin: _Origin) -> None:
    quantized = [
        op
        for op in graph.ops
        if op.kind not in _CONVERSIONS
        and any(graph.tensors[i].dtype in _INTEGERS and graph.tensors[i].quant for i in op.outputs)
    ]
    if not quantized:
        return
    first = quantized[0]
    dtype = graph.output_of(first).dtype.value
    raise UnsupportedError(
        f"is quantized already: {len(quantized)} of {len(graph.ops)} operators compute in integers "
        f"(the first is {graph.label(first)}, {dtype})",
        where=origin.source or origin.name,
        next_step="use it as it is (edgeq check, build, deploy), or convert the float model it was made from",
        quantized_operators=len(quantized),
        operators=len(graph.ops),
    )


def _refuse_open_dimensions(graph: Graph, origin: _Origin) -> None:
    for index in graph.inputs:
        tensor = graph.tensors[index]
        open_at = [d for d, length in enumerate(tensor.shape_signature) if length == -1]
        if open_at in ([], [0]):
            continue
        shape = ", ".join("?" if d in open_at else str(s) for d, s in enumerate(tensor.shape_signature))
        raise UnsupportedError(
            f"input '{tensor.name}' has the shape ({shape}): only an open batch (dimension 0) can be frozen to 1",
            where=origin.source or origin.name,
            next_step="export the model with a fixed input shape",
            input=tensor.name,
            open_dimensions=open_at,
        )


def _end_names(model: Any, graph: Graph) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of inputs and outputs: the signature's where there is one, else the tensors' without wrapping."""
    signatures = [s for s in model.signatureDefs or [] if (s.subgraphIndex or 0) == 0]
    one = signatures[0] if len(signatures) == 1 else None
    names = []
    for ends, told in ((graph.inputs, one and one.inputs), (graph.outputs, one and one.outputs)):
        named = {end.tensorIndex: _text(end.name) for end in told or []}
        names.append(tuple(named.get(i) or friendly_name(graph.tensors[i].name) for i in ends))
    return _distinct(names[0]), _distinct(names[1])


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name if name not in names[:i] else f"{name}_{i}" for i, name in enumerate(names))


def friendly_name(tensor_name: str) -> str:
    """`serving_default_input_1:0` → `input_1`."""
    return tensor_name.removeprefix("serving_default_").partition(":")[0] or tensor_name


def _one_signature(model: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """The quantizer wants one whenever it adds a tensor at the ends."""
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    subgraph = model.subgraphs[0]
    for ends, indices in (("inputs", subgraph.inputs), ("outputs", subgraph.outputs)):
        maps = []
        for name, index in zip(inputs if ends == "inputs" else outputs, indices, strict=True):
            end = schema.TensorMapT()
            end.name, end.tensorIndex = name, int(index)
            maps.append(end)
        setattr(signature, ends, maps)
    model.signatureDefs = [signature]


def _one_operator_code_field(model: Any) -> None:
    """Old files fill only the 8-bit field; quantizers read the newer one and take every op for ADD (0)."""
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode or 0, code.deprecatedBuiltinCode or 0)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _unique_names(model: Any) -> None:
    seen: Counter[str] = Counter()
    taken = {_text(t.name) for g in model.subgraphs for t in g.tensors}
    for subgraph in model.subgraphs:
        for index, tensor in enumerate(subgraph.tensors):
            name = _text(tensor.name) or f"tensor_{index}"
            seen[name] += 1
            while seen[name] > 1 or (name != _text(tensor.name) and name in taken):
                name = f"{name}_{index}"
                seen[name] += 1
            taken.add(name)
            tensor.name = name


def _had_open_batch(graph: Graph) -> bool:
    return any(-1 in graph.tensors[i].shape_signature for i in graph.inputs)


def _freeze_batch(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
        if tensor.shape is not None:
            tensor.shape = [1 if d == -1 else int(d) for d in tensor.shape]


def _float_weights(model: Any, graph: Graph) -> list[str]:
    """Weights kept in few bits beside float arithmetic (dynamic-range, weight-only, float16): to float32."""
    subgraph = model.subgraphs[0]
    restored: set[int] = set()
    dropped: set[int] = set()
    for op in graph.ops:
        if op.kind == "DEQUANTIZE" and op.inputs[0] in restored | _stored_small(graph, op):
            source = graph.tensors[op.inputs[0]]
            _make_constant(model, op.outputs[0], _dequantized(source))
            dropped.add(op.index)
        elif op.kind not in _CONVERSIONS and graph.output_of(op).dtype is DType.FLOAT32:
            for index in _stored_small(graph, op):
                if graph.tensors[index].quant is not None and index not in restored:
                    _make_constant(model, index, _dequantized(graph.tensors[index]))
                    restored.add(index)
    subgraph.operators = [op for i, op in enumerate(subgraph.operators) if i not in dropped]
    count = len(restored) + len(dropped)
    if not count:
        return []
    kinds = "8 or 16 bits" if dropped and restored else ("8 bits" if restored else "16 or fewer bits")
    return [
        f"the file is not quite float: {count} weight tensors are stored in {kinds}; they were restored to "
        "float32 as they are (the original float model would convert more accurately)"
    ]


def _stored_small(graph: Graph, op: Op) -> set[int]:
    return {
        i
        for i in op.inputs
        if i >= 0
        and graph.tensors[i].is_constant
        and (graph.tensors[i].dtype is DType.FLOAT16 or graph.tensors[i].dtype in _INTEGERS)
    }


def _dequantized(tensor: Tensor) -> npt.NDArray[np.float32]:
    assert tensor.data is not None
    values = tensor.data.astype(np.float32)
    if tensor.quant is None:
        return values
    along = [1] * len(tensor.shape)
    if tensor.quant.per_channel:
        along[tensor.quant.quantized_dimension] = tensor.quant.scale.size
    zero = tensor.quant.zero_point.astype(np.float32).reshape(along)
    restored: npt.NDArray[np.float32] = (values - zero) * tensor.quant.scale.reshape(along)
    return restored


def _make_constant(model: Any, index: int, values: npt.NDArray[np.float32]) -> None:
    tensor = model.subgraphs[0].tensors[index]
    tensor.buffer = constant_buffer(model, values)
    tensor.type = schema.TensorType.FLOAT32
    tensor.quantization = None


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else (name or "")
