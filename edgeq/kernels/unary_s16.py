"""LEAKY_RELU, ABS and EXP on int16 activations. HARD_SWISH, ELU and PRELU on int16 are in no reference kernel of
TensorFlow Lite 2.14."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgeq.graph import Graph, Op
from edgeq.kernels import lookup, rules, wide
from edgeq.kernels.activations import size_is_kept
from edgeq.kernels.arithmetic import Multiplier, quantize_multiplier, scale_of
from edgeq.kernels.contract import Constant, Kernel, Lowering, Rule
from edgeq.kernels.elementwise import scale_initializer
from edgeq.kernels.types import INT16

_STEPS = 512
_SAME = Multiplier(1 << 30, 1)  # times one, exactly


def _lower_slopes(
    slopes: Callable[[Graph, Op], tuple[Multiplier, Multiplier]], negate: bool
) -> Callable[[Graph, Op], Lowering]:
    def lower(graph: Graph, op: Op) -> Lowering:
        positive, negative = slopes(graph, op)
        return Lowering.of_call(
            arguments=("{in0}", "{out0}"),
            struct="edgeq_slopes_params",
            fields={
                "count": str(graph.output_of(op).elements),
                "positive": scale_initializer(positive),
                "negative": scale_initializer(negative),
                "negate": str(int(negate)),
            },
            overlap={0: 0},
        )

    return lower


def _leaky(graph: Graph, op: Op) -> tuple[Multiplier, Multiplier]:
    inp = graph.input_of(op, 0)
    assert inp is not None
    return lookup.slopes(op, inp, graph.output_of(op))


def _sizes(graph: Graph, op: Op) -> tuple[Multiplier, Multiplier]:
    """ABS: one factor, computed in float, and none where the scales are equal (elementwise.cc)."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    same = scale_of(inp) == scale_of(out)
    factor = _SAME if same else quantize_multiplier(float(np.float32(scale_of(inp) / scale_of(out))))
    return factor, factor


def exp_table(in_scale: np.float32, out_scale: np.float32) -> npt.NDArray[np.int16]:
    """exp() at every 128th input, in float32 as LUTPopulate computes it (kernels/internal/common.h, 2.14): each value
    is moved by half of the error that the line to the next has in the middle."""
    first, last = np.float32(in_scale * np.float32(-32768)), np.float32(in_scale * np.float32(32767))
    step = np.float32((last - first) / np.float32(_STEPS))
    unit = np.float32(np.float32(65536) / np.float32(out_scale * np.float32(32767) - out_scale * np.float32(-32768)))
    at = first + np.arange(_STEPS + 1, dtype=np.float32) * step
    with np.errstate(all="ignore"):
        values = lookup.EXP(at) * unit
        middles = _rounded(lookup.EXP(at[:-1] + step / np.float32(2)) * unit)
        samples = _rounded(values[:-1])
        lines = _rounded((values[1:] + samples) / np.float32(2))
        moved = samples - _rounded((lines - middles) / np.float32(2))
        end = _rounded(lookup.EXP(np.array([last], np.float32)) * unit)
        table = np.nan_to_num(np.concatenate([moved, end]), nan=32767.0)
    clipped: npt.NDArray[np.int16] = np.clip(table, -32768, 32767).astype(np.int16)
    return clipped


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`std::round` of float32."""
    wide_values = values.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide_values) + 0.5), wide_values).astype(np.float32)


def _lower_exp(graph: Graph, op: Op) -> Lowering:
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    table = exp_table(scale_of(inp), scale_of(out))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_lookup_s16_params",
        fields={"count": str(out.elements), "table": "{const:table}"},
        constants=(Constant("table", "int16_t", table.astype("<i2").tobytes(), "parameters"),),
        overlap={0: 0},
    )


def _row(
    op: str, source: str, max_version: int, lower: Callable[[Graph, Op], Lowering], *more: Rule, exact: str = ""
) -> Kernel:
    return Kernel(
        symbol=f"edgeq_{source}",
        op=op,
        types="int16",
        max_version=max_version,
        sources=(f"portable/{source}.c",),
        rules=(
            rules.arity(1, 1),
            rules.shapes_are_static,
            rules.nothing_is_empty,
            rules.types((INT16,), INT16),
            size_is_kept,
            rules.quantization_is_usable(0),
            wide.zero_points_are_zero,
            *more,
            rules.activations_come_from_the_arena,
        ),
        lower=lower,
        why="every core; in place",
        exact=exact,
    )


KERNELS = (
    _row(
        "LEAKY_RELU",
        "slopes_s16",
        2,
        _lower_slopes(_leaky, negate=False),
        lookup.slope_is_usable,
        rules.factor_is_defined(0),
    ),
    _row("ABS", "slopes_s16", 5, _lower_slopes(_sizes, negate=True), rules.factor_is_defined(0)),
    _row(
        "EXP",
        "lookup_s16",
        2,
        _lower_exp,
        exact="equal while exp() of the largest input is a float32; beyond, the reference's table is undefined",
    ),
)
