"""Element-wise operators in float32, and CAST between all types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.binary import lower_broadcast, slopes_are_per_element
from edgeq.kernels.contract import Call, Facts, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import shapes_broadcast
from edgeq.kernels.float_layers import NEAR, ONE_STEP, activation_limits, float_row, literal
from edgeq.kernels.lookup import alpha_of
from edgeq.kernels.operands import operand
from edgeq.kernels.types import FLOAT, INT32, SUFFIX

_MOST = 3.4028234663852886e38


def _lower_binary(graph: Graph, op: Op) -> Lowering:
    return lower_broadcast(graph, op, "edgeq_float_params", activation_limits(op))


def _binary(op: str, max_version: int, *more: Rule, source: str = "binary_f32", exact: str = "") -> Kernel:
    which = (
        rules.arity(2, 2),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((FLOAT,), FLOAT),
        shapes_broadcast,
        *more,
        rules.activation_is_known,
        rules.activations_come_from_the_arena,
    )
    return float_row(op, f"edgeq_{op.lower()}_f32", source, max_version, which, _lower_binary, exact)


def _lower_unary(limits: tuple[float, float]) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        low, high = limits
        if op.kind == "LEAKY_RELU":
            low = float(alpha_of(op))
        elif op.kind == "GELU":
            low = float(bool(op.options.get("approximate")))
        fields = {"count": str(graph.output_of(op).elements), "low": literal(low), "high": literal(high)}
        return Lowering.of_call(("{in0}", "{out0}"), "edgeq_unary_f32_params", fields, overlap={0: 0})

    return lower


_UNARY_RULES = (
    rules.arity(1, 1),
    rules.shapes_are_static,
    rules.nothing_is_empty,
    rules.types((FLOAT,), FLOAT),
    size_is_kept,
    rules.activations_come_from_the_arena,
)


def _unary(
    op: str, max_version: int, name: str = "", limits: tuple[float, float] = (0.0, 0.0), exact: str = ""
) -> Kernel:
    source = "transcendental_f32" if exact else "unary_f32"
    symbol = f"edgeq_{name or op.lower()}_f32"
    return float_row(op, symbol, source, max_version, _UNARY_RULES, _lower_unary(limits), exact)


_TYPE_NUMBERS: Mapping[DType, int] = MappingProxyType(
    {DType.INT8: 0, DType.UINT8: 1, DType.INT16: 2, DType.INT32: 3, DType.FLOAT32: 4, DType.BOOL: 5, DType.INT64: 6}
)
_WHOLE = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.BOOL, DType.INT64)


def _lower_cast(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    fields = {
        "count": str(out.elements),
        "in_type": str(_TYPE_NUMBERS[inp.dtype]),
        "out_type": str(_TYPE_NUMBERS[out.dtype]),
        "in_bytes": str(inp.dtype.bits // 8),
        "out_bytes": str(out.dtype.bits // 8),
    }
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_cast_params", fields)


def _cast(symbol: str, source: str, inputs: tuple[DType, ...], outputs: tuple[DType, ...], exact: str = "") -> Kernel:
    return Kernel(
        symbol=symbol,
        op="CAST",
        types="any" if source == "cast" else "float32",
        max_version=6,
        sources=(f"portable/{source}.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((inputs,), outputs),
            size_is_kept,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_cast,
        why="every core",
        exact=exact,
    )


def _lower_add_n(graph: Graph, op: Op) -> Lowering:
    """One addition after another into the output."""
    first = lower_broadcast(graph, op, f"edgeq_{_struct(graph, op)}_params", _limits(graph, op), one_pass=False)
    calls = list(first.calls)
    constants = list(first.constants)
    for position in range(2, len(op.inputs)):
        pointer, more = operand(graph.tensors[op.inputs[position]], position)
        constants += more
        calls.append(Call(("(const void *){out0}", pointer, "{out0}"), calls[0].struct, calls[0].fields))
    return Lowering(tuple(calls), tuple(constants))


def _struct(graph: Graph, op: Op) -> str:
    return "float" if graph.output_of(op).dtype is DType.FLOAT32 else "integer"


def _limits(graph: Graph, op: Op) -> Mapping[str, str]:
    if graph.output_of(op).dtype is DType.FLOAT32:
        return activation_limits(op)
    return {"act_min": "INT32_MIN", "act_max": "INT32_MAX"}


def shapes_are_one(graph: Graph, op: Op) -> Facts | None:
    """Its inputs {shapes} must have the output's shape {out_shape} and type: the file is damaged."""
    out = graph.output_of(op)
    tensors = [graph.tensors[i] for i in op.inputs if i >= 0]
    if len(tensors) == len(op.inputs) and all(t.shape == out.shape and t.dtype is out.dtype for t in tensors):
        return None
    return {"shapes": [list(t.shape) for t in tensors], "out_shape": list(out.shape)}


def _add_n(dtype: DType, source: str) -> Kernel:
    return Kernel(
        symbol=f"edgeq_add_{SUFFIX[dtype]}",
        op="ADD_N",
        types=dtype.value.lower(),
        max_version=1,
        sources=(f"portable/{source}.c",),
        rules=(
            rules.arity(2, 1 << 16),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,),), (dtype,)),
            shapes_are_one,
            shapes_broadcast,
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_add_n,
        why="every core; one call per addition",
    )


_SATURATES = "equal for what the type can hold; beyond, where the reference is undefined, it saturates; NaN gives 0"

KERNELS = (
    _binary("ADD", 5),
    _binary("SUB", 5),
    _binary("MUL", 7),
    _binary("DIV", 2),
    _binary("MAXIMUM", 4),
    _binary("MINIMUM", 4),
    _binary("SQUARED_DIFFERENCE", 2),
    _binary("FLOOR_DIV", 3),
    _binary("PRELU", 1, slopes_are_per_element),
    _binary("POW", 1, source="pow_f32", exact=ONE_STEP),
    _unary("RELU", 4, "clamp", (0.0, _MOST)),
    _unary("RELU6", 4, "clamp", (0.0, 6.0)),
    _unary("RELU_N1_TO_1", 2, "clamp", (-1.0, 1.0)),
    _unary("RELU_0_TO_1", 1, "clamp", (0.0, 1.0)),
    _unary("LEAKY_RELU", 2),
    _unary("ABS", 5),
    _unary("NEG", 2),
    _unary("SQUARE", 1),
    _unary("HARD_SWISH", 1),
    _unary("FLOOR", 1),
    _unary("CEIL", 1),
    _unary("ROUND", 1),
    _unary("SQRT", 2),
    _unary("RSQRT", 3),
    _unary("EXP", 2, exact=ONE_STEP),
    _unary("LOG", 2, exact=ONE_STEP),
    _unary("TANH", 3, exact=ONE_STEP),
    _unary("LOGISTIC", 3, exact=ONE_STEP),
    _unary("ELU", 1, exact=ONE_STEP),
    _unary("GELU", 2, exact=NEAR),
    _cast("edgeq_cast", "cast", _WHOLE, _WHOLE),
    _cast("edgeq_cast_to_f32", "cast_f32", _WHOLE, FLOAT),
    _cast("edgeq_cast_from_f32", "cast_f32", FLOAT, _WHOLE, _SATURATES),
    _add_n(DType.FLOAT32, "binary_f32"),
    _add_n(*INT32, "integers_s32"),
)
