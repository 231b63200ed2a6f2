"""Operators of one int8 input that are a table of 256 bytes, worked out here as the reference works them out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op, Tensor
from edgeq.kernels import arithmetic, rules
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.arithmetic import quantize_multiplier, scale_of, zero_point_of
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.fixed_point import (
    INT16,
    high_mul,
    inverse_square_root,
    multiplied,
    round_shift,
    saturated,
    truncated,
)
from edgeq.kernels.types import INT8

Floats = npt.NDArray[np.float32]
Table = Callable[[Op, Tensor, Tensor], list[int]]
_VALUES = range(-128, 128)


def _clamped(value: int) -> int:
    return max(-128, min(127, value))


def _through_float(function: Callable[[Floats], Floats]) -> Table:
    """What the reference fills by computing in float32 (LUTPopulate in kernels/internal/common.h)."""

    def table(op: Op, inp: Tensor, out: Tensor) -> list[int]:
        offsets = np.arange(-128, 128, dtype=np.int64) - zero_point_of(inp)
        values = function(scale_of(inp) * offsets.astype(np.float32)).astype(np.float32)
        scaled = values * (np.float32(1) / scale_of(out))
        rounded = np.copysign(np.floor(np.abs(scaled.astype(np.float64)) + 0.5), scaled).astype(np.float32)
        shifted = np.nan_to_num(rounded + np.float32(zero_point_of(out)), nan=0.0)
        return [int(v) for v in np.clip(np.trunc(shifted.astype(np.float64)), -128, 127)]

    return table


def _f32(function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Callable[[Floats], Floats]:
    """A function of the C library on float32: the exact value, rounded."""

    def rounded(x: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return function(x.astype(np.float64)).astype(np.float32)

    return rounded


EXP, _TANH = _f32(np.exp), _f32(np.tanh)
_ROOT_HALF = float(np.float32(math.sqrt(0.5)))


def _logistic(x: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.float32(1) / (np.float32(1) + EXP(-x))


def _elu(x: Floats) -> Floats:
    return np.where(x < 0, _f32(np.expm1)(x), x)


def _gelu(x: Floats, smooth: Callable[[Floats], Floats]) -> Floats:
    """x times how much of a normal distribution lies below it, in float32 (reference/gelu.h)."""
    with np.errstate(all="ignore"):
        return np.float32(0.5) * x * (np.float32(1) + smooth(x))


def _erf(x: Floats) -> Floats:
    exact = np.array([math.erf(float(v) * _ROOT_HALF) for v in x], np.float64)
    return exact.astype(np.float32)


def _tanh_of_cube(x: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return _TANH(np.float32(2 / math.sqrt(2 * math.pi)) * (x + np.float32(0.044715) * x * x * x))


def _gelu_table(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    smooth = _tanh_of_cube if op.options.get("approximate") else _erf
    return _through_float(lambda x: _gelu(x, smooth))(op, inp, out)


def _sqrt(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    """Cut off, not rounded; of what is negative, which the reference refuses, 0."""
    offsets = np.maximum(np.arange(-128, 128, dtype=np.int64) - zero_point_of(inp), 0)
    roots = np.sqrt(scale_of(inp) * offsets.astype(np.float32)) / scale_of(out)
    return [_clamped(int(v) + zero_point_of(out)) for v in roots.astype(np.float64)]


def _abs(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    m = quantize_multiplier(float(np.float32(scale_of(inp) / scale_of(out))))
    zero, same = zero_point_of(inp), scale_of(inp) == scale_of(out)
    sizes = [abs(i - zero) for i in _VALUES]
    return [_clamped((s if same else multiplied(s, m)) + zero_point_of(out)) for s in sizes]


def alpha_of(op: Op) -> np.float32:
    """LEAKY_RELU's slope below zero."""
    alpha = op.options.get("alpha", 0.0)
    return np.float32(alpha if isinstance(alpha, int | float) else 0.0)


def slopes(op: Op, inp: Tensor, out: Tensor) -> tuple[arithmetic.Multiplier, arithmetic.Multiplier]:
    """LEAKY_RELU's factors above and below zero; activations.cc computes both in float."""
    above = np.float32(scale_of(inp) / scale_of(out))
    below = np.float32(np.float32(scale_of(inp) * alpha_of(op)) / scale_of(out))
    return quantize_multiplier(float(above)), quantize_multiplier(float(below))


def _leaky_relu(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    above, below = slopes(op, inp, out)
    zero = zero_point_of(inp)
    scaled = [multiplied(i - zero, above if i >= zero else below) for i in _VALUES]
    return [_clamped(s + zero_point_of(out)) for s in scaled]


def _sixteen_bits(real: float) -> tuple[int, int]:
    """A factor as a Q15 multiplier and a power of two (HardSwishPrepare)."""
    m = quantize_multiplier(real)
    return (INT16 if m.value >= (1 << 31) - 1 - (1 << 15) else (m.value + (1 << 15)) >> 16), m.shift


def _hard_swish(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    """x * relu6(x + 3) / 6 in 16-bit fixed point (reference/hard_swish.h)."""
    fine = np.float32(np.float32(1 / 128) * scale_of(inp))
    to_out, out_exponent = _sixteen_bits(float(np.float32(fine / scale_of(out))))
    gate, exponent = _sixteen_bits(float(np.float32(fine / np.float32(3.0 / 32768.0))))
    table = []
    for i in _VALUES:
        x = (i - zero_point_of(inp)) * 128
        opened = x if exponent <= 0 else saturated(x << (exponent - 1), INT16)
        opened = high_mul(opened, gate, INT16)
        if exponent > 0:
            opened = saturated(opened << 1, INT16)
        elif exponent < 0:
            opened = round_shift(opened, -exponent)
        opened = (opened + (1 << 15)) >> 1
        product = truncated(opened * high_mul(x, to_out, INT16), 1 << 15)
        table.append(_clamped(round_shift(product, -out_exponent) + zero_point_of(out)))
    return table


_ROOT_BITS = 20  # RsqrtEvalQuantized: the root keeps that many bits of fraction


def _rsqrt(op: Op, inp: Tensor, out: Tensor) -> list[int]:
    """Integer Newton steps; what isn't positive, which the reference refuses, is as near to the pole as can be."""
    product = np.float32(np.sqrt(scale_of(inp)) * scale_of(out))
    m = quantize_multiplier(1.0 / float(product))
    table = []
    for i in _VALUES:
        value = i - zero_point_of(inp)
        if value <= 0:
            table.append(127)
            continue
        root = inverse_square_root(value)
        kept = multiplied(1, arithmetic.Multiplier(root.value, root.shift + _ROOT_BITS))
        scaled = multiplied(kept, arithmetic.Multiplier(m.value, m.shift - _ROOT_BITS))
        table.append(_clamped(scaled + zero_point_of(out)))
    return table


def lower_table(table: list[int], count: int) -> Lowering:
    """The call that looks each element up."""
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_lookup_s8_params",
        fields={"count": str(count), "table": "{const:table}"},
        constants=(Constant("table", "int8_t", np.array(table, np.int8).tobytes(), "parameters"),),
        overlap={0: 0},
    )


def output_is_probability(graph: Graph, op: Op) -> Facts | None:
    """The output's scale is {scale}; the reference's {kind} has 1/256: convert the model again."""
    scale = float(scale_of(graph.output_of(op)))
    return None if scale == 1 / 256 else {"scale": scale, "kind": op.kind}


def output_is_fine_enough(graph: Graph, op: Op) -> Facts | None:
    """The output's scale {scale} is more than {most} times finer than the input's {in_scale}, beyond which the
    reference has no arithmetic: convert the model again."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    if float(scale_of(inp)) / 128 / float(scale_of(out)) <= 0.999:
        return None
    return {"scale": float(scale_of(out)), "most": 127, "in_scale": float(scale_of(inp))}


def root_is_defined(graph: Graph, op: Op) -> Facts | None:
    """Its scales make a factor of {factor}; it must be less than 2**30: convert the model again."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    factor = 1 / (math.sqrt(float(scale_of(inp))) * float(scale_of(out)))
    return None if factor < (1 << 30) - 64 else {"factor": f"{factor:.3g}"}


def slope_is_usable(graph: Graph, op: Op) -> Facts | None:
    """Its slope below zero is {alpha}; the reference computes with 0 to 2**20: export the model with another."""
    alpha = float(alpha_of(op))
    return None if 0 <= alpha <= 1 << 20 else {"alpha": alpha}


_NO_ROOT = "equal for what isn't negative; the root of the rest, which the reference refuses, is 0"
_SATURATES = "equal while the output is less than 2**31 steps; beyond, where the reference is undefined, it saturates"


def _row(op: str, max_version: int, table: Table, *more: Rule, exact: str = "") -> Kernel:
    def lower(graph: Graph, op: Op) -> Lowering:
        inp, out = graph.input_of(op, 0), graph.output_of(op)
        assert inp is not None
        return lower_table(table(op, inp, out), out.elements)

    return Kernel(
        symbol="edgeq_lookup_s8",
        op=op,
        types="int8",
        max_version=max_version,
        sources=("portable/lookup_s8.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT8,), INT8),
            size_is_kept,
            rules.quantization_is_usable(0),
            *more,
            rules.activations_come_from_the_arena,
        ),
        lower=lower,
        why="every core; a table of 256 bytes, in place",
        exact=exact,
    )


KERNELS = (
    _row("LOGISTIC", 3, _through_float(_logistic), output_is_probability),
    _row("TANH", 3, _through_float(_TANH)),
    _row("HARD_SWISH", 1, _hard_swish, output_is_fine_enough),
    _row("LEAKY_RELU", 2, _leaky_relu, slope_is_usable, rules.factor_is_defined(0)),
    _row("ELU", 1, _through_float(_elu)),
    _row("EXP", 2, _through_float(EXP), exact=_SATURATES),
    _row("LOG", 2, _through_float(_f32(np.log))),
    _row("RSQRT", 3, _rsqrt, root_is_defined),
    _row("SQRT", 2, _sqrt, exact=_NO_ROOT),
    _row("GELU", 2, _gelu_table),
    _row("ABS", 5, _abs, rules.factor_is_defined(0)),
)
