"""QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import arithmetic, overlaps, rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.contract import Kernel, Lowering, Rule
from edgeq.kernels.rescale import lower_rescale
from edgeq.kernels.types import INT8, INT16, INT32, LIMITS

_FLOAT = (DType.FLOAT32,)
_UINT8 = (DType.UINT8,)


def _lower(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    factor = float(arithmetic.scale_of(inp)) / float(arithmetic.scale_of(out))
    return lower_rescale(inp, out, factor, LIMITS[out.dtype])


def _affine(quantized: Callable[[Graph, Op], Tensor]) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        tensor = quantized(graph, op)
        return Lowering.of_call(
            arguments=("{in0}", "{out0}"),
            struct="edgeq_affine_params",
            fields={
                "count": str(tensor.elements),
                "zero": str(arithmetic.zero_point_of(tensor)),
                "scale": f"{float(arithmetic.scale_of(tensor)).hex()}f",
            },
            overlap={0: overlaps.elementwise(_input(graph, op), graph.output_of(op))},
        )

    return lower


def _input(graph: Graph, op: Op) -> Tensor:
    tensor = graph.input_of(op, 0)
    assert tensor is not None
    return tensor


def _rules(inputs: tuple[DType, ...], outputs: tuple[DType, ...], *quantization: Rule) -> tuple[Rule, ...]:
    return (
        rules.arity(1, 1),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types((inputs,), outputs),
        size_is_kept,
        *quantization,
        rules.activations_come_from_the_arena,
    )


def input_is_per_tensor(graph: Graph, op: Op) -> dict[str, object] | None:
    """Tensor '{tensor}' must have one finite, positive scale to be dequantized: convert the model again."""
    tensor = _input(graph, op)
    sound = arithmetic.per_tensor(tensor.quant) and arithmetic.usable(tensor.quant)
    return None if sound else {"tensor": tensor.short_name}


_BOTH = (rules.quantization_is_usable(0), rules.factor_is_defined(0))
_OUT = rules.quantization_is_usable()


_SATURATES = (
    "equal while |x / scale| < 2**31; beyond, where the reference's conversion to int32 is undefined, it saturates; "
    "NaN gives the lowest value"
)


def _row(
    op: str,
    symbol: str,
    source: str,
    which: tuple[Rule, ...],
    lower: Callable[[Graph, Op], Lowering],
    exact: str = "",
) -> Kernel:
    types = symbol.removeprefix("edgeq_").partition("_")[2]
    return Kernel(
        symbol=symbol,
        op=op,
        types=types,
        max_version=3,
        sources=(source,),
        rules=which,
        lower=lower,
        why="every core",
        exact=exact,
    )


# The row that asks least stands last: its violations are what users read.
KERNELS = (
    _row("QUANTIZE", "edgeq_rescale_s8", "portable/rescale.c", _rules(INT8, INT8, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_u8_s8", "portable/rescale.c", _rules(_UINT8, INT8, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s8_u8", "portable/rescale.c", _rules(INT8, _UINT8, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s16", "portable/rescale_s16.c", _rules(INT16, INT16, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s8_s16", "portable/rescale_s16.c", _rules(INT8, INT16, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_u8_s16", "portable/rescale_s16.c", _rules(_UINT8, INT16, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s16_s32", "portable/rescale_s32.c", _rules(INT16, INT32, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s32_s16", "portable/rescale_s32.c", _rules(INT32, INT16, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s32_s8", "portable/rescale_s32.c", _rules(INT32, INT8, *_BOTH), _lower),
    _row("QUANTIZE", "edgeq_rescale_s16_s8", "portable/rescale_s16.c", _rules(INT16, INT8, *_BOTH), _lower),
    _row(
        "QUANTIZE",
        "edgeq_quantize_f32_s16",
        "portable/affine_f32_s16.c",
        _rules(_FLOAT, INT16, _OUT),
        _affine(lambda graph, op: graph.output_of(op)),
        _SATURATES,
    ),
    _row(
        "DEQUANTIZE",
        "edgeq_dequantize_s16_f32",
        "portable/affine_f32_s16.c",
        _rules(INT16, _FLOAT, input_is_per_tensor),
        _affine(_input),
    ),
    _row(
        "QUANTIZE",
        "edgeq_quantize_f32_s8",
        "portable/affine_f32.c",
        _rules(_FLOAT, INT8, _OUT),
        _affine(lambda graph, op: graph.output_of(op)),
        _SATURATES,
    ),
    _row(
        "DEQUANTIZE",
        "edgeq_dequantize_s8_f32",
        "portable/affine_f32.c",
        _rules(INT8, _FLOAT, input_is_per_tensor),
        _affine(_input),
    ),
)
