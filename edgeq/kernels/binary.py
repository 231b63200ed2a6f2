"""Element-wise operators of two inputs beside ADD, SUB and MUL: the larger, comparisons, plain int32, PRELU, SELECT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edgeq.graph import DType, Graph, Op
from edgeq.kernels import arithmetic, overlaps, rules
from edgeq.kernels.arithmetic import Multiplier, quantize_multiplier, scale_of, zero_point_of
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import broadcast_strides, merged, scale_initializer, shapes_broadcast
from edgeq.kernels.operands import operand
from edgeq.kernels.types import BOOL, LIMITS, SUFFIX

_RELATIONS: Mapping[str, int] = {
    "LESS": 1,
    "EQUAL": 2,
    "LESS_EQUAL": 3,
    "GREATER": 4,
    "GREATER_EQUAL": 6,
    "NOT_EQUAL": 13,
}
"""As edgeq_compare_params has them: 1 less, 2 equal, 4 greater, 8 not comparable."""

Fields = Callable[[Graph, Op], Mapping[str, str]]


def numbers(values: tuple[int, ...]) -> str:
    """As a C initializer."""
    return "{" + ", ".join(map(str, values)) + "}"


def lower_broadcast(
    graph: Graph, op: Op, struct: str, fields: Mapping[str, str], *, symbol: str = "", one_pass: bool = True
) -> Lowering:
    """The call of a kernel made with EDGEQ_BROADCAST.

    Args:
        one_pass: whether it reads operands only for the elements that it writes next, so that they may overlap.
    """
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    sizes, (stride0, stride1) = merged(
        out.shape, broadcast_strides(a.shape, out.shape), broadcast_strides(b.shape, out.shape)
    )
    first, first_constants = operand(a, 0)
    second, second_constants = operand(b, 1)
    overlap = {i: overlaps.broadcast(t, out) for i, t in enumerate((a, b)) if one_pass and not t.is_constant}
    return Lowering.of_call(
        arguments=(first, second, "{out0}"),
        struct=struct,
        fields={"size": numbers(sizes), "stride0": numbers(stride0), "stride1": numbers(stride1), **fields},
        constants=(*first_constants, *second_constants),
        overlap=overlap,
        symbol=symbol,
    )


def _no_fields(graph: Graph, op: Op) -> Mapping[str, str]:
    return {}


def integer_limits(graph: Graph, op: Op) -> Mapping[str, str]:
    """The fused activation of plain int32."""
    low, high = LIMITS[DType.INT32]
    activation = op.text("fused_activation_function", "NONE")
    low, high = {"RELU": (0, high), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}.get(activation, (low, high))
    return {"act_min": str(low) if low > -(1 << 31) else "INT32_MIN", "act_max": str(high)}


def _compared(graph: Graph, op: Op) -> Mapping[str, str]:
    a, b = graph.input_of(op, 0), graph.input_of(op, 1)
    assert a is not None and b is not None
    fields = {"relation": str(_RELATIONS[op.kind])}
    if a.dtype is DType.INT8:
        fields |= {
            "zero0": str(zero_point_of(a)),
            "zero1": str(zero_point_of(b)),
            "scale0": scale_initializer(quantize_multiplier(float(scale_of(a)))),
            "scale1": scale_initializer(quantize_multiplier(float(scale_of(b)))),
        }
    return fields


def _prelu(graph: Graph, op: Op) -> Mapping[str, str]:
    """activations.cc computes both factors in float."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    above = arithmetic.float_quotient(scale_of(a), scale_of(out))
    below = arithmetic.float_quotient(arithmetic.float_product(scale_of(a), scale_of(b)), scale_of(out))
    return _scaled(graph, op, quantize_multiplier(above), Multiplier(0, 0), quantize_multiplier(below), 0)


_DIFFERENCE_BITS = 7  # squared_difference.cc: 255**2 shifted twice by 7 bits still fits 32


def _squared_difference(graph: Graph, op: Op) -> Mapping[str, str]:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    s0, s1, s_out = (float(scale_of(t)) for t in (a, b, out))
    twice = 2 * max(s0, s1)
    low, high = LIMITS[DType.INT8]
    factor = quantize_multiplier(twice * twice / ((1 << 2 * _DIFFERENCE_BITS) * s_out))
    fields = _scaled(graph, op, quantize_multiplier(s0 / twice), quantize_multiplier(s1 / twice), factor, 7)
    return {**fields, "act_min": str(low), "act_max": str(high)}


def _scaled(
    graph: Graph, op: Op, scale0: Multiplier, scale1: Multiplier, out_scale: Multiplier, left_shift: int
) -> Mapping[str, str]:
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    return {
        "zero0": str(zero_point_of(a)),
        "zero1": str(zero_point_of(b)),
        "out_zero": str(zero_point_of(out)),
        "scale0": scale_initializer(scale0),
        "scale1": scale_initializer(scale1),
        "out_scale": scale_initializer(out_scale),
        "left_shift": str(left_shift),
    }


def scales_are_fractions(graph: Graph, op: Op) -> Facts | None:
    """Input '{tensor}' has the scale {scale}; comparisons of int8 need scales below 1, for others the reference has no
    arithmetic: convert the model again."""
    for position in (0, 1):
        tensor = graph.input_of(op, position)
        assert tensor is not None
        if float(scale_of(tensor)) >= 1:
            return {"tensor": tensor.short_name, "scale": float(scale_of(tensor))}
    return None


def inputs_are_quantized(graph: Graph, op: Op) -> Facts | None:
    """Tensor '{tensor}' must have one finite, positive scale and zero point: convert the model again."""
    for position in (0, 1):
        tensor = graph.input_of(op, position)
        assert tensor is not None
        if not arithmetic.per_tensor(tensor.quant) or not arithmetic.usable(tensor.quant):
            return {"tensor": tensor.short_name}
    return None


def difference_is_defined(graph: Graph, op: Op) -> Facts | None:
    """The output's scale {scale} is too fine for its inputs': the reference has no arithmetic for that; convert the
    model again."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    twice = 2 * max(float(scale_of(a)), float(scale_of(b)))
    factor = twice * twice / ((1 << 2 * _DIFFERENCE_BITS) * float(scale_of(out)))
    return None if factor < (1 << 30) - 64 else {"scale": float(scale_of(out))}


def slopes_are_per_element(graph: Graph, op: Op) -> Facts | None:
    """The slopes {b} repeated over the input {a} give {out}: the file is damaged."""
    a, b, out = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    assert a is not None and b is not None
    return None if a.shape == out.shape else {"a": list(a.shape), "b": list(b.shape), "out": list(out.shape)}


def _row(
    op: str,
    symbol: str,
    source: str,
    struct: str,
    dtype: DType,
    out: DType,
    max_version: int,
    fields: Fields,
    *more: Rule,
    exact: str = "",
    one_pass: bool = True,
) -> Kernel:
    def lower(graph: Graph, op: Op) -> Lowering:
        return lower_broadcast(graph, op, struct, fields(graph, op), one_pass=one_pass)

    return Kernel(
        symbol=symbol,
        op=op,
        types=dtype.value.lower(),
        max_version=max_version,
        sources=(f"portable/{source}.c",),
        rules=(
            rules.arity(2, 2),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types(((dtype,), (dtype,)), (out,)),
            shapes_broadcast,
            *more,
            rules.activations_come_from_the_arena,
        ),
        lower=lower,
        why="every core; broadcasting",
        exact=exact,
    )


_NO_ZERO = "equal where the reference divides; by zero, which it refuses, the result is 0"
_NO_NEGATIVE = "equal for exponents from 0 on; for others, which the reference refuses, the result is 1"
_WHOLE = (
    ("ADD", 5, ""),
    ("SUB", 5, ""),
    ("MUL", 7, ""),
    ("DIV", 2, _NO_ZERO),
    ("FLOOR_DIV", 3, _NO_ZERO),
    ("FLOOR_MOD", 2, _NO_ZERO),
    ("POW", 1, _NO_NEGATIVE),
    ("SQUARED_DIFFERENCE", 2, ""),
)
_COMPARED = (DType.INT16, DType.INT64, DType.INT32, DType.FLOAT32)


def _comparisons() -> tuple[Kernel, ...]:
    rows = []
    for op in _RELATIONS:
        same = op in ("EQUAL", "NOT_EQUAL")
        for dtype in (*_COMPARED, DType.INT8, *((DType.BOOL,) if same else ())):
            if op == "NOT_EQUAL" and dtype is DType.INT16:
                continue  # 2.14 lacks it, and LiteRT 2.3 ends the process on it
            more = (inputs_are_quantized, scales_are_fractions) if dtype is DType.INT8 else ()
            name = f"compare_{SUFFIX[dtype]}"
            rows.append(
                _row(
                    op,
                    f"edgeq_{name}",
                    name,
                    "edgeq_compare_params",
                    dtype,
                    DType.BOOL,
                    4,
                    _compared,
                    *more,
                )
            )
    return tuple(rows)


def _lower_not(graph: Graph, op: Op) -> Lowering:
    count = str(graph.output_of(op).elements)
    return Lowering.of_call(("{in0}", "{out0}"), "edgeq_not_params", {"count": count}, overlap={0: 0})


def _lower_select(graph: Graph, op: Op) -> Lowering:
    condition, a, b, out = (*(graph.input_of(op, i) for i in range(3)), graph.output_of(op))
    assert condition is not None and a is not None and b is not None
    shape = condition.shape
    if op.kind == "SELECT" and len(shape) < len(out.shape):  # one decision for each slice of the first dimension
        shape = shape + (1,) * (len(out.shape) - len(shape))
    sizes, strides = merged(out.shape, *(broadcast_strides(s, out.shape) for s in (shape, a.shape, b.shape)))
    pointers: list[str] = []
    constants: list[Constant] = []
    for position, tensor in enumerate((condition, a, b)):
        pointer, more = operand(tensor, position)
        pointers.append(pointer)
        constants += more
    return Lowering.of_call(
        arguments=(*pointers, "{out0}"),
        struct="edgeq_select_params",
        fields={
            "size": numbers(sizes),
            "stride_if": numbers(strides[0]),
            "stride0": numbers(strides[1]),
            "stride1": numbers(strides[2]),
            "item_bytes": str(out.dtype.bits // 8),
        },
        constants=tuple(constants),
        overlap={
            position: overlaps.broadcast(replace(tensor, shape=dims), out)
            for position, (tensor, dims) in enumerate(((condition, shape), (a, a.shape), (b, b.shape)))
            if not tensor.is_constant
        },
    )


def choices_fit(graph: Graph, op: Op) -> Facts | None:
    """The condition {condition} and the choices {a} and {b} don't give an output {out} of their type: the file is
    damaged."""
    condition, a, b, out = (*(graph.input_of(op, i) for i in range(3)), graph.output_of(op))
    assert condition is not None and a is not None and b is not None
    facts = {
        "condition": list(condition.shape),
        "a": list(a.shape),
        "b": list(b.shape),
        "out": list(out.shape),
    }
    if not a.dtype is b.dtype is out.dtype or len(out.shape) > 6:
        return facts
    if op.kind == "SELECT":
        decided = condition.shape in ((), (1,), out.shape, out.shape[:1])
        return None if decided and a.shape == b.shape == out.shape else facts
    padded = [(1,) * (len(out.shape) - len(s)) + s for s in (condition.shape, a.shape, b.shape)]
    sound = all(len(s) == len(out.shape) for s in padded) and all(
        max(sizes) == size and all(n in (1, size) for n in sizes)
        for size, *sizes in zip(out.shape, *padded, strict=True)
    )
    return None if sound else facts


_CHOSEN = (DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.UINT8, DType.BOOL, DType.FLOAT32)

KERNELS = (
    *(
        _row(
            op,
            f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
            f"extremes_{SUFFIX[dtype]}",
            "edgeq_integer_params",
            dtype,
            dtype,
            4,
            _no_fields,
        )
        for op in ("MAXIMUM", "MINIMUM")
        for dtype in (DType.INT32, DType.INT16, DType.INT8)
    ),
    *(
        _row(
            op,
            f"edgeq_{op.lower()}_s32",
            "integers_s32",
            "edgeq_integer_params",
            DType.INT32,
            DType.INT32,
            version,
            integer_limits,
            rules.activation_is_known,
            exact=exact,
        )
        for op, version, exact in _WHOLE
    ),
    _row(
        "SQUARED_DIFFERENCE",
        "edgeq_squared_difference_s8",
        "squared_difference_s8",
        "edgeq_binary_params",
        DType.INT8,
        DType.INT8,
        2,
        _squared_difference,
        rules.quantization_is_usable(0, 1),
        difference_is_defined,
    ),
    _row(
        "PRELU",
        "edgeq_prelu_s8",
        "prelu_s8",
        "edgeq_binary_params",
        DType.INT8,
        DType.INT8,
        1,
        _prelu,
        slopes_are_per_element,
        rules.quantization_is_usable(0, 1),
        rules.factor_is_defined(0),
        rules.factor_is_defined(0, 1),
    ),
    *_comparisons(),
    *(
        _row(
            f"LOGICAL_{name}",
            f"edgeq_logical_{name.lower()}",
            "logical",
            "edgeq_integer_params",
            DType.BOOL,
            DType.BOOL,
            1,
            _no_fields,
        )
        for name in ("AND", "OR")
    ),
    Kernel(
        symbol="edgeq_logical_not",
        op="LOGICAL_NOT",
        types="bool",
        max_version=1,
        sources=("portable/logical.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((BOOL,), BOOL),
            rules.activations_come_from_the_arena,
        ),
        lower=_lower_not,
        why="every core",
    ),
    *(
        Kernel(
            symbol="edgeq_select",
            op=op,
            types="any",
            max_version=version,
            sources=("portable/select.c",),
            rules=(
                rules.arity(3, 3),
                rules.shapes_are_static,
                rules.nothing_is_empty,
                rules.types((BOOL, _CHOSEN), _CHOSEN),
                choices_fit,
                rules.activations_come_from_the_arena,
            ),
            lower=_lower_select,
            why="every core; broadcasting",
        )
        for op, version in (("SELECT_V2", 2), ("SELECT", 4))
    ),
)
