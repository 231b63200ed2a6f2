"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.graph import DType, Graph, Op, Tensor
from edgeq.kernels import overlaps, rules, windows
from edgeq.kernels.contract import Facts, Kernel, Lowering, Rule
from edgeq.kernels.types import SUFFIX


def depth_is_kept(graph: Graph, op: Op) -> Facts | None:
    """Pooling keeps the number of channels, but the input has {in_c} and the output {out_c}: the file is damaged."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    return None if inp.shape[3] == out.shape[3] else {"in_c": inp.shape[3], "out_c": out.shape[3]}


def ahead(op: Op, out: Tensor) -> int:
    """Bytes of a pixel that are written before they are read: all of them where the greatest is found in the output."""
    return out.shape[3] * (out.dtype.bits // 8) if op.kind == "MAX_POOL_2D" else 0


def lower_pool(graph: Graph, op: Op) -> Lowering:
    """The call: both kinds have the same parameters."""
    inp, out = graph.input_of(op, 0), graph.output_of(op)
    assert inp is not None
    window = windows.window_of(inp, out, op, op.integer("filter_height"), op.integer("filter_width"))
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_pool_params",
        fields={"window": window.initializer(), **windows.activation_fields(op, out)},
        overlap={0: overlaps.windows(window, out.dtype.bits // 8, ahead=ahead(op, out), in_step=True)},
    )


def pool_rules(dtype: DType) -> tuple[Rule, ...]:
    """The rules of both operators."""
    return (
        rules.arity(1, 1),
        rules.shapes_are_static,
        rules.nothing_is_empty,
        rules.types(((dtype,),), (dtype,)),
        rules.rank(0, (4,)),
        windows.geometry(filter_from_options=True),
        depth_is_kept,
        rules.quantization_is_usable(0),
        rules.same_quantization,
        rules.activation_is_known,
        rules.activation_range_fits,
        rules.activations_come_from_the_arena,
    )


def _row(op: str, dtype: DType, lower: Callable[[Graph, Op], Lowering]) -> Kernel:
    return Kernel(
        symbol=f"edgeq_{op.lower()}_{SUFFIX[dtype]}",
        op=op,
        types=dtype.value.lower(),
        max_version=3,
        sources=(f"portable/{op.lower()}_{SUFFIX[dtype]}.c",),
        rules=pool_rules(dtype),
        lower=lower,
        why="every core",
    )


_MOST_ELEMENTS = 255  # of -128 to 127, whose sum stays within 16 bits


def sums_are_short(graph: Graph, op: Op) -> Facts | None:
    """It averages windows of {elements} elements over {in_c} channels; the DSP kernel takes up to {most}, over a
    multiple of four."""
    inp = graph.input_of(op, 0)
    assert inp is not None
    elements = op.integer("filter_height") * op.integer("filter_width")
    if elements <= _MOST_ELEMENTS and inp.shape[3] % 4 == 0:
        return None
    return {"elements": elements, "in_c": inp.shape[3], "most": _MOST_ELEMENTS}


KERNELS = (
    Kernel(
        symbol="edgeq_average_pool_2d_s8_dsp",
        op="AVERAGE_POOL_2D",
        types="int8",
        max_version=3,
        requires=("dsp",),
        sources=("dsp/edgeq_dsp.h", "dsp/average_pool_2d_s8_dsp.c"),
        rules=(*pool_rules(DType.INT8), sums_are_short),
        lower=lower_pool,
        why="four channels a load, two sums in a word: 2 cycles an element instead of 9",
    ),
    *(_row(op, dtype, lower_pool) for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D") for dtype in (DType.INT8, DType.INT16)),
)
