"""FULLY_CONNECTED, and CONV_2D with one output position, with paired weights on cores with the DSP extension."""

from __future__ import annotations

from functools import lru_cache

from edgeq.graph import Graph, Op
from edgeq.kernels import conv, convolution, fully_connected, paired
from edgeq.kernels.channels import Channels
from edgeq.kernels.contract import Constant, Facts, Kernel, Lowering, Rule
from edgeq.kernels.convolution import INT8


def _channels(graph: Graph, op: Op) -> Channels:
    if op.kind == "CONV_2D":
        return conv.matrix(convolution.parts(graph, op))
    return fully_connected.channels_of(fully_connected.parts(graph, op))


@lru_cache(maxsize=1)
def _rows(graph: Graph, op: Op) -> paired.Rows | None:
    """Worked out once for the rules and the lowering of one operator."""
    return paired.rows(_channels(graph, op))


def weights_are_its_own(graph: Graph, op: Op) -> Facts | None:
    """Its weights hold several precisions, which other products share."""
    return {} if paired.is_nested(graph, op) else None


def depth_is_fours(graph: Graph, op: Op) -> Facts | None:
    """Its rows have {depth} inputs, not a multiple of four."""
    depth = _channels(graph, op).weights.shape[1]
    return None if depth % 4 == 0 else {"depth": depth}


def weights_pair(graph: Graph, op: Op) -> Facts | None:
    """A weight of -128 lies above a negative one: two rows don't fit one half word."""
    return None if paired.pack_rows(_channels(graph, op).weights) is not None else {}


def requantization_is_affine(graph: Graph, op: Op) -> Facts | None:
    """A row's requantization is not provably one affine step, or its sums are too large to be separated."""
    found = _rows(graph, op)
    return None if found is not None and found.affine else {}


def requantization_rounds_twice(graph: Graph, op: Op) -> Facts | None:
    """A row's clamp is tighter than int8, it isn't shifted right, or its sums are too large."""
    return None if _rows(graph, op) is not None else {}


def _lower(graph: Graph, op: Op) -> Lowering:
    channels = _channels(graph, op)
    outputs, depth = channels.weights.shape
    packed, found = paired.pack_rows(channels.weights), _rows(graph, op)
    assert packed is not None and found is not None
    batches = 1 if op.kind == "CONV_2D" else fully_connected.parts(graph, op).rows
    rows = {
        "weights": "{const:weights}",
        "bias": "{const:bias}",
        "records": "{const:records}",
        "back": "-24" if found.shared else "0",
        "depth": str(depth),
        "rows": str(outputs),
    }
    return Lowering.of_call(
        arguments=("{in0}", "{out0}"),
        struct="edgeq_dsp_paired_fc_params",
        fields={
            "rows": "{" + ", ".join(f".{name} = {value}" for name, value in rows.items()) + "}",
            "batches": str(batches),
            "multiply": f"edgeq_dsp_mat_vec_paired_{'affine' if found.affine else 'exact'}",
        },
        constants=(
            Constant("weights", "int8_t", packed),
            Constant("bias", "int32_t", found.bias),
            Constant("records", "int32_t", found.records, "parameters"),
        ),
        macs=batches * channels.weights.size,
    )


def _kernels(op: str, max_version: int, rules: tuple[Rule, ...], why: str) -> tuple[Kernel, ...]:
    """A row for either requantization."""
    finishes: tuple[tuple[str, str, Rule], ...] = (
        ("affine", "one rounding", requantization_is_affine),
        ("exact", "two roundings", requantization_rounds_twice),
    )
    return tuple(
        Kernel(
            symbol="edgeq_fully_connected_paired_s8_dsp",
            op=op,
            types=f"int8, {roundings}",
            max_version=max_version,
            requires=("dsp",),
            sources=(
                "dsp/edgeq_dsp.h",
                "dsp/fully_connected_paired_s8_dsp.c",
                "dsp/mat_vec_paired_dsp.inc",
                f"dsp/mat_vec_paired_{name}_dsp.S",
            ),
            rules=(*rules, weights_are_its_own, depth_is_fours, weights_pair, rule),
            lower=_lower,
            why=why,
        )
        for name, roundings, rule in finishes
    )


KERNELS = (
    *_kernels(
        "FULLY_CONNECTED",
        12,
        (*fully_connected.fully_connected_rules(INT8), fully_connected.weights_are_symmetric),
        "eight rows at a time, 39 cycles per 32 MACs, and nothing of the input is copied",
    ),
    *_kernels(
        "CONV_2D",
        6,
        (
            *convolution.convolution_rules(0, INT8),
            conv.channels_fit,
            conv.has_no_groups,
            conv.has_one_position,
        ),
        "a convolution with one output position is a matrix times a vector",
    ),
)
