"""Rules on a model as a whole. A rule's docstring, filled in with the facts it returns, is what users read.

Rules on single operators are in the kernel table; these catch what would otherwise show as one message per
layer, and say the one thing to do about it.
"""

from __future__ import annotations

from collections.abc import Callable

from edgeq.errors import UnsupportedError
from edgeq.graph import DType, Graph, Op
from edgeq.kernels import Violation
from edgeq.kernels.contract import Facts, describe

Refused = frozenset[int]
"""Indices of the operators that have no kernel."""

ModelRule = Callable[[Graph, Refused], Facts | None]

_CARRIED = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.INT64, DType.FLOAT32, DType.BOOL)
"""What the firmware's model_tensor_info can name at a model's ends."""

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")
_SHOWN = 5


def not_empty(graph: Graph, refused: Refused) -> Facts | None:
    """The model has {inputs} inputs, {outputs} outputs and {operators} operators: there is nothing to run."""
    if graph.ops and graph.inputs and graph.outputs:
        return None
    return {"inputs": len(graph.inputs), "outputs": len(graph.outputs), "operators": len(graph.ops)}


def not_a_float_model(graph: Graph, refused: Refused) -> Facts | None:
    """This is a float model: all of its {operators} computing operators work in {dtype}. Run `edgeq convert` with a
    representative dataset to get an int8 model."""
    computing, floats = _computing(graph), _float_ops(graph)
    if len(floats) < len(computing) or not _any(floats, refused) or _narrow_weights(graph):
        return None
    half = any(
        op.kind == "DEQUANTIZE" and _dtype(graph, op.inputs[0]) is DType.FLOAT16 for op in graph.ops if op.inputs
    )
    return {"operators": len(computing), "dtype": "float (weights stored as float16)" if half else "float"}


def not_dynamic_range(graph: Graph, refused: Refused) -> Facts | None:
    """Only its weights are quantized (dynamic range): {operators} operators, {first} first, have integer weights but
    compute in float. edgeq's kernels need integer activations too: run `edgeq convert` on the float model with a
    representative dataset."""
    mixed = _narrow_weights(graph)
    if not _any(mixed, refused):
        return None
    return {"operators": len(mixed), "first": graph.label(mixed[0])}


def no_float_left(graph: Graph, refused: Refused) -> Facts | None:
    """{operators} of its {total} operators are still float: {names}. Run `edgeq convert` on the float model; it lists
    why an operator can't be quantized."""
    computing, floats = _computing(graph), _float_ops(graph)
    if len(floats) == len(computing) or _narrow_weights(graph):
        return None
    floats = [op for op in floats if op.index in refused]
    if not floats:
        return None
    return {"operators": len(floats), "total": len(computing), "names": _names(graph, floats)}


def not_uint8(graph: Graph, refused: Refused) -> Facts | None:
    """It is quantized to uint8, TensorFlow 1's scheme: {operators} operators compute in UINT8 ({names}). Convert the
    float model again with `edgeq convert`, which makes int8 (uint8 at the model's ends only: `--io uint8`)."""
    found = [op for op in _computing(graph) if op.index in refused and _first_dtype(graph, op) is DType.UINT8]
    if not found:
        return None
    return {"operators": len(found), "names": _names(graph, found)}


def not_int16(graph: Graph, refused: Refused) -> Facts | None:
    """Its activations are int16 (16x8 quantization), for which {operators} of its operators have no kernel ({names}).
    Convert the float model again with `edgeq convert`, to int8."""
    found = [op for op in _computing(graph) if op.index in refused and _first_dtype(graph, op) is DType.INT16]
    if not found:
        return None
    return {"operators": len(found), "names": _names(graph, found)}


def inputs_have_fixed_shapes(graph: Graph, refused: Refused) -> Facts | None:
    """Input '{tensor}' has an open dimension: {signature}. Export the model with fixed shapes; only the batch
    dimension (the first) may be open, it is frozen to 1."""
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if -1 in tensor.shape_signature[1:]:
            return {"tensor": tensor.short_name, "signature": list(tensor.shape_signature)}
    return None


def ends_can_be_carried(graph: Graph, refused: Refused) -> Facts | None:
    """The model's {end} '{tensor}' is {dtype}; firmware takes and gives {carried}. Convert the model again, e.g. with
    `--io int8`."""
    for end, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            tensor = graph.tensors[index]
            if tensor.dtype not in _CARRIED:
                carried = ", ".join(d.value for d in _CARRIED)
                return {"end": end, "tensor": tensor.short_name, "dtype": tensor.dtype.value, "carried": carried}
    return None


def ends_are_computed(graph: Graph, refused: Refused) -> Facts | None:
    """The model's {end} '{tensor}' has its values in the file: it is a constant. Convert the model again without that
    {end}."""
    for end, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            if graph.tensors[index].is_constant:
                return {"end": end, "tensor": graph.tensors[index].short_name}
    return None


MODEL_RULES: tuple[ModelRule, ...] = (
    not_empty,
    not_a_float_model,
    not_dynamic_range,
    no_float_left,
    not_uint8,
    not_int16,
    inputs_have_fixed_shapes,
    ends_can_be_carried,
    ends_are_computed,
)


def findings(graph: Graph, refused: Refused = frozenset()) -> tuple[Violation, ...]:
    """Every model rule that the graph breaks.

    Args:
        refused: operators without a kernel: what a kernel serves is no reason to refuse a model.
    """
    found = []
    for rule in MODEL_RULES:
        facts = rule(graph, refused)
        if facts is not None:
            found.append(Violation(rule.__name__, describe(rule, facts), facts))
    return tuple(found)


def require_runnable(graph: Graph) -> None:
    """Refuse what no code can be made of, whatever its operators are: no ends, constant ones, types of theirs.

    Raises:
        UnsupportedError: with the sentence of every rule that the graph breaks.
    """
    found = findings(graph)
    if found:
        raise UnsupportedError(
            " ".join(v.message for v in found),
            where=graph.source or graph.name,
            next_step="`edgeq check` tells all that stands in the way",
            rules=[v.rule for v in found],
        )


def _computing(graph: Graph) -> list[Op]:
    """Operators that aren't merely a change of type, as the ends of an integer model have."""
    return [op for op in graph.ops if op.kind not in _CONVERSIONS]


def _any(ops: list[Op], refused: Refused) -> bool:
    return any(op.index in refused for op in ops)


def _float_ops(graph: Graph) -> list[Op]:
    return [op for op in _computing(graph) if _is_float(_first_dtype(graph, op))]


def _narrow_weights(graph: Graph) -> list[Op]:
    """Float operators with integer weights."""
    kinds = (DType.INT8, DType.INT4, DType.INT2, DType.UINT8)
    return [
        op
        for op in _float_ops(graph)
        if any(i >= 0 and graph.tensors[i].is_constant and graph.tensors[i].dtype in kinds for i in op.inputs[1:])
    ]


def _first_dtype(graph: Graph, op: Op) -> DType | None:
    """The type that an operator computes in: of its first input that isn't a constant, else of its output."""
    for index in op.inputs:
        if index >= 0 and not graph.tensors[index].is_constant:
            return graph.tensors[index].dtype
    return _dtype(graph, op.outputs[0])


def _dtype(graph: Graph, index: int) -> DType | None:
    return graph.tensors[index].dtype if index >= 0 else None


def _is_float(dtype: DType | None) -> bool:
    return dtype is not None and dtype.is_float


def _names(graph: Graph, ops: list[Op]) -> str:
    shown = ", ".join(graph.label(op) for op in ops[:_SHOWN])
    return shown + (f" and {len(ops) - _SHOWN} more" if len(ops) > _SHOWN else "")
