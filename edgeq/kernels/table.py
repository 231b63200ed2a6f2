"""All rows, best first for each operator, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.graph import Graph, Op
from edgeq.kernels import (
    activations,
    batch_matmul,
    binary,
    constants_made,
    conv,
    conv_bands,
    conv_paired,
    conv_s16,
    data_movement,
    depthwise,
    depthwise_strips,
    elementwise,
    float_elements,
    float_layers,
    fully_connected,
    fully_connected_computed,
    fully_connected_paired,
    fully_connected_s16,
    indexed,
    integers,
    lookup,
    lstm,
    mean,
    moves,
    mve,
    normalization,
    pooling,
    quantize,
    reductions,
    sigmoid_s16,
    softmax,
    softmax_s16,
    spatial,
    state,
    svdf,
    thumb,
    unary_s16,
)
from edgeq.kernels.contract import Kernel, Rule, Violation
from edgeq.target import Core

KERNELS: tuple[Kernel, ...] = (
    *float_layers.KERNELS,
    *float_elements.KERNELS,
    *fully_connected_computed.KERNELS,
    *mve.KERNELS,
    *fully_connected_paired.KERNELS,
    *conv_bands.KERNELS,
    *conv_paired.KERNELS,
    *thumb.KERNELS,
    *conv.KERNELS,
    *conv_s16.KERNELS,
    *depthwise_strips.KERNELS,
    *depthwise.KERNELS,
    *fully_connected.KERNELS,
    *fully_connected_s16.KERNELS,
    *pooling.KERNELS,
    *elementwise.KERNELS,
    *binary.KERNELS,
    *integers.KERNELS,
    *activations.KERNELS,
    *lookup.KERNELS,
    *unary_s16.KERNELS,
    *softmax.KERNELS,
    *softmax_s16.KERNELS,
    *sigmoid_s16.KERNELS,
    *mean.KERNELS,
    *reductions.KERNELS,
    *normalization.KERNELS,
    *spatial.KERNELS,
    *batch_matmul.KERNELS,
    *quantize.KERNELS,
    *data_movement.KERNELS,
    *moves.KERNELS,
    *indexed.KERNELS,
    *constants_made.KERNELS,
    *state.KERNELS,
    *svdf.KERNELS,
    *lstm.KERNELS,
)


@dataclass(frozen=True)
class Choice:
    """The kernel for one operator on one core, or why there is none.

    Attributes:
        kernel: None when no row can serve it.
        violations: then, what stands in the way of the row that came nearest: whose types are the operator's.
    """

    kernel: Kernel | None
    violations: tuple[Violation, ...] = ()


def operators() -> tuple[str, ...]:
    """The operators that have a row, sorted."""
    return tuple(sorted({k.op for k in KERNELS}))


def choose(graph: Graph, op: Op, core: Core) -> Choice:
    """The first row that the core can run and whose rules the operator keeps."""
    return choose_for(graph, op, core.isa)


def rows_for(graph: Graph, op: Op, isa: Sequence[str]) -> tuple[Kernel, ...]:
    """The rows among which a core with these features has a choice, best first; each keeps all its rules.

    Of the rows of one function the first alone: they differ in files, which its `lower` chooses among by itself.
    """
    kept: set[Rule] = set()
    found: dict[str, Kernel] = {}
    for kernel in KERNELS:
        serves = kernel.op == op.kind and set(kernel.requires) <= set(isa) and op.version <= kernel.max_version
        if serves and kernel.symbol not in found and kernel.broken(graph, op, kept) is None:
            found[kernel.symbol] = kernel
    return tuple(found.values())


def choose_for(graph: Graph, op: Op, isa: Sequence[str]) -> Choice:
    """The same for a core with these features; () is any core."""
    violations: tuple[Violation, ...] = ()
    rows = [k for k in KERNELS if k.op == op.kind and set(k.requires) <= set(isa)]
    if not rows:
        known = ", ".join(operators())
        name = op.custom_name or op.kind
        message = f"{name} has no kernel; edgeq has {known}"
        return Choice(None, (Violation("operator_has_a_kernel", message, {"op": name}),))
    kept: set[Rule] = set()
    furthest = (-2, 0)
    for kernel in rows:
        if op.version > kernel.max_version:
            message = f"version {op.version} of {op.kind} is newer than the {kernel.max_version} that edgeq knows"
            facts = {"version": op.version, "known": kernel.max_version}
            found = -1, Violation("version_is_known", message, facts)
        else:
            broken = kernel.broken(graph, op, kept)
            if broken is None:
                return Choice(kernel)
            found = broken
        position = found[1].facts.get("position", 0)
        reached = found[0], position if isinstance(position, int) else 0
        if reached >= furthest:
            furthest, violations = reached, (found[1],)
    return Choice(None, violations)
